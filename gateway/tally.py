"""What one request came to, put together by the rooms as they work on it; its summary line in the log tells it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from gateway.document import Usage


@dataclass(slots=True, eq=False)
class Read:
    """The reading of one region: how often a backend was asked for it, which one last, and the wait for a seat."""

    attempts: int = 0
    backend: str = ""
    waited_ms: float = 0.0


@dataclass(slots=True, eq=False)
class Tally:
    """Of one request. `stages` are milliseconds, summed over its pages, which flow side by side; `waited_ms` is what
    its pages waited for room and its regions for a seat, summed too."""

    outcome: str = ""
    """The code of the error that ended it."""
    kind: str = ""
    size: int = 0
    """Bytes of the document."""
    usage: Usage = field(default_factory=Usage)
    stages: dict[str, float] = field(default_factory=dict)
    waited_ms: float = 0.0
    retries: int = 0
    cache_hits: int = 0

    def spent(self, stage: str, ms: float) -> None:
        """A stage took so long."""
        self.stages[stage] = self.stages.get(stage, 0.0) + ms

    def page(self, usage: Usage, timings_ms: Mapping[str, float], reads: Iterable[Read]) -> None:
        """A page was read to its end."""
        self.usage += usage
        for stage, ms in timings_ms.items():
            self.spent(stage, ms)
        for read in reads:
            self.waited_ms += read.waited_ms
            self.retries += max(0, read.attempts - 1)
            self.cache_hits += not read.attempts

    def told(self) -> dict[str, Any]:
        """The fields of the summary line; those of a document only where there was one."""
        if not self.kind:
            return {}
        usage = self.usage
        return {
            "kind": self.kind,
            "bytes": self.size,
            "pages": usage.pages,
            "regions": usage.regions,
            "failed_regions": usage.failed_regions,
            **{f"{stage}_ms": round(ms, 1) for stage, ms in self.stages.items()},
            "waited_ms": round(self.waited_ms, 1),
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
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
