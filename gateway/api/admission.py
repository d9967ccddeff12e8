"""Who may come in: a bounded number of requests at once, none while draining."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from gateway.errors import DeadlineExceeded, Overloaded, ShuttingDown


class Admission:
    """Counts the requests in the house. `limit` of them may be in it, each for `timeout` seconds at most."""

    def __init__(self, limit: int, timeout: float) -> None:
        self._limit = limit
        self._timeout = timeout
        self._scopes: set[anyio.CancelScope] = set()
        self._empty = anyio.Event()
        self.draining = False

    @property
    def admitted(self) -> int:
        return len(self._scopes)

    @property
    def full(self) -> bool:
        return len(self._scopes) >= self._limit

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        """A place in the house for the body of the `async with`.

        Raises `ShuttingDown` while draining and when the drain's time is over, `Overloaded` when the house is full,
        `DeadlineExceeded` when the body took too long.
        """
        if self.draining:
            raise ShuttingDown("The service is shutting down.", retry_after=5)
        if self.full:
            raise Overloaded(f"{self._limit} requests are waiting or being served already.", retry_after=2)
        with anyio.CancelScope(deadline=anyio.current_time() + self._timeout) as scope:
            self._scopes.add(scope)
            try:
                yield
            finally:
                self._scopes.discard(scope)
                if not self._scopes:
                    self._empty.set()
        if scope.cancelled_caught:
            if anyio.current_time() < scope.deadline:
                raise ShuttingDown("The service is shutting down.", retry_after=5)
            raise DeadlineExceeded(f"The request took more than {self._timeout:g} seconds.")

    async def drain(self, seconds: float) -> None:
        """Let nobody in any more; return when the house is empty, or empty it when `seconds` are over."""
        self.draining = True
        if not self._scopes:
            return
        self._empty = anyio.Event()
        with anyio.move_on_after(seconds):
            await self._empty.wait()
        for scope in tuple(self._scopes):
            scope.cancel("drained")
        while self._scopes:
            self._empty = anyio.Event()
            await self._empty.wait()
