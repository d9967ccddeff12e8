"""How many bytes of documents are in the house: counted where they come in, given back when their request ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from gateway import metrics
from gateway.errors import Overloaded


class Hold:
    """Room for `limit` bytes; one request alone may have more. `retry_after` says in how many seconds there is room."""

    def __init__(self, limit: int, retry_after: Callable[[], float]) -> None:
        self._limit = limit
        self._retry_after = retry_after
        self._lock = threading.Lock()
        self.held = 0

    @contextmanager
    def request(self) -> Iterator[None]:
        """What `take` takes in the body of the `with` belongs to one request; at the end all of it is given back."""
        share = _Share(self)
        token = _current.set(share)
        try:
            yield
        finally:
            _current.reset(token)
            self._move(share, -share.held)

    def _move(self, share: _Share, count: int) -> None:
        with self._lock:
            if count > 0 and self.held > share.held and self.held + count > self._limit:
                raise Overloaded(
                    f"Documents of {self._limit >> 20} MiB are in the service already.", retry_after=self._retry_after()
                )
            self.held += count
            share.held += count


class _Share:
    def __init__(self, hold: Hold) -> None:
        self._hold = hold
        self.held = 0

    def take(self, count: int) -> None:
        self._hold._move(self, count)
        metrics.DOCUMENT_BYTES.inc(count)


_current: ContextVar[_Share | None] = ContextVar("share", default=None)


def take(count: int) -> None:
    """Count `count` bytes to the request that runs in this context, if one does. From any thread.

    Raises `Overloaded` when there is no room for them.
    """
    share = _current.get()
    if share is not None:
        share.take(count)
