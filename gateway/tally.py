"""What one request came to, put together by the rooms as they work on it; its summary line in the log tells it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from gateway.document import Usage


@dataclass(slots=True, eq=False)
class Read:
    """The reading of one region: how often a backend was asked for it, which one last, why the last setback came, and
    the wait for a seat."""

    attempts: int = 0
    backend: str = ""
    cause: str = ""
    waited_ms: float = 0.0


@dataclass(slots=True, eq=False)
class Tally:
    """Of one request. `stages` and `waits` are milliseconds by their names, summed over pages and regions, which flow
    side by side."""

    begun: float = field(default_factory=time.monotonic)
    error: tuple[str, str] | None = None
    """Code and detail of what ended it."""
    size: int = 0
    """Bytes of the document."""
    kind: str = ""
    usage: Usage = field(default_factory=Usage)
    stages: dict[str, float] = field(default_factory=dict)
    waits: dict[str, float] = field(default_factory=dict)
    retries: int = 0
    cache_hits: int = 0

    def failed(self, code: str, detail: str) -> None:
        """It ends with this error."""
        self.error = code, detail

    def taken_in(self, size: int) -> None:
        """The document is here."""
        self.size = size
        self.stages["intake"] = (time.monotonic() - self.begun) * 1000

    def waited(self, queue: str, seconds: float) -> None:
        """There was no place at once."""
        self.waits[queue] = self.waits.get(queue, 0.0) + seconds * 1000

    def page(self, usage: Usage, timings_ms: Mapping[str, float], reads: Iterable[Read]) -> None:
        """A page was read to its end."""
        self.usage += usage
        for stage, ms in timings_ms.items():
            self.stages[stage] = self.stages.get(stage, 0.0) + ms
        for read in reads:
            self.retries += max(0, read.attempts - 1)
            self.cache_hits += not read.attempts

    def told(self) -> dict[str, Any]:
        """The fields of the summary line; nothing where there was no document."""
        if not self.size:
            return {}
        return {
            "kind": self.kind,
            "bytes": self.size,
            "pages": self.usage.pages,
            "regions": self.usage.regions,
            "failed_regions": self.usage.failed_regions,
            **{f"{stage}_ms": round(ms, 1) for stage, ms in self.stages.items()},
            **{f"wait_{queue}_ms": round(ms, 1) for queue, ms in self.waits.items()},
            "prompt_tokens": self.usage.prompt_tokens,
            "completion_tokens": self.usage.completion_tokens,
            "retries": self.retries,
            "cache_hits": self.cache_hits,
        }


_request: ContextVar[Tally] = ContextVar("request")
_read: ContextVar[Read] = ContextVar("read")


def request() -> Tally:
    """That of the request that is being worked on; outside of any, one that nobody looks at."""
    return _request.get(None) or Tally()


def read() -> Read:
    """That of the region that is being read; outside of any, one that nobody looks at."""
    return _read.get(None) or Read()


@contextmanager
def counting() -> Iterator[Tally]:
    """The tally of a new request, for the body of the `with`."""
    tally = Tally()
    token = _request.set(tally)
    try:
        yield tally
    finally:
        _request.reset(token)


@contextmanager
def reading(read: Read) -> Iterator[None]:
    """What happens in the body of the `with` is the reading of one region."""
    token = _read.set(read)
    try:
        yield
    finally:
        _read.reset(token)
