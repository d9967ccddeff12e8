"""Who may come in: a bounded number of requests and of their bytes at once, none while draining or short of memory."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from gateway.errors import DeadlineExceeded, Overloaded, ShuttingDown
from gateway.hold import Hold
from gateway.memory import Memory

WINDOW_S = 60.0
"""How far back requests that left are counted."""


class Turnover:
    """How fast requests leave, and so when there is room again."""

    def __init__(self) -> None:
        self._left: deque[float] = deque()
        self._promised = 0.0

    def count(self) -> None:
        """One has left."""
        self._left.append(time.monotonic())

    def retry_after(self) -> float:
        """Seconds until a place is free for one more caller, each told later than the one before."""
        now = time.monotonic()
        while self._left and now - self._left[0] > WINDOW_S:
            self._left.popleft()
        since = now - self._left[0] if self._left else WINDOW_S
        each = max(since, 1.0) / len(self._left) if self._left else WINDOW_S / 2
        self._promised = max(now, self._promised) + each
        wait = min(self._promised - now, WINDOW_S)
        self._promised = now + wait
        return wait


class Admission:
    """Counts the requests in the house. `limit` of them may be in it, each for `timeout` seconds at most, and
    `max_bytes` of their documents; none comes in while `memory` is short."""

    def __init__(self, limit: int, timeout: float, *, max_bytes: int = 1 << 30, memory: Memory | None = None) -> None:
        self.limit = limit
        self._timeout = timeout
        self.memory = memory or Memory(reserve=0)
        self._turnover = Turnover()
        self.max_bytes = max_bytes
        self._hold = Hold(max_bytes, self._turnover.retry_after)
        self._scopes: set[anyio.CancelScope] = set()
        self._empty = anyio.Event()
        self.draining = False

    @property
    def admitted(self) -> int:
        return len(self._scopes)

    @property
    def bytes_held(self) -> int:
        """Of documents in the house."""
        return self._hold.held

    @property
    def full(self) -> bool:
        return len(self._scopes) >= self.limit or self.memory.short

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        """A place in the house for the body of the `async with`, where `gateway.hold.take` counts its bytes.

        Raises `ShuttingDown` while draining and when the drain's time is over, `Overloaded` when the house is full,
        `DeadlineExceeded` when the body took too long.
        """
        if self.draining:
            raise ShuttingDown("The service is shutting down.", retry_after=5)
        if self.full:
            short = "The service is short of memory." if self.memory.short else ""
            detail = short or f"{self.limit} requests are waiting or being served already."
            raise Overloaded(detail, retry_after=self._turnover.retry_after())
        with anyio.CancelScope(deadline=anyio.current_time() + self._timeout) as scope:
            self._scopes.add(scope)
            try:
                with self._hold.request():
                    yield
            finally:
                self._scopes.discard(scope)
                self._turnover.count()
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
