"""OpenTelemetry spans, where a collector is configured; where none is, next to nothing happens here.

    async with exporting("http://collector:4318", "paddleocr-vl-service", "parentbased_always_on", 1.0):
        with request("POST", headers):
            with span("layout", page=1) as layout:
                layout.set(regions=12)

A span begun inside another, over task groups and into threads too, is its child. What leaves a span by an exception is
put down as its error.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Literal

import anyio

if TYPE_CHECKING:
    from gateway.spans import Tracing

Attribute = str | bool | int | float | Sequence[int]
Kind = Literal["INTERNAL", "SERVER", "CLIENT"]
Sampler = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]
"""The values of `OTEL_TRACES_SAMPLER`."""


class Span:
    """A stretch of work that others look at. This one is for when nobody does."""

    __slots__ = ()

    def set(self, **attributes: Attribute) -> None:
        """Say more about it."""

    def fail(self, code: str, detail: str) -> None:
        """It came to nothing: a stable word, and a sentence for people."""

    def rename(self, name: str) -> None:
        """Call it otherwise than it was begun."""

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


NOBODY = Span()
"""What nobody looks at."""

_tracing: Tracing | None = None


def span(name: str, kind: Kind = "INTERNAL", **attributes: Attribute) -> Span:
    """A span for the body of the `with`, a child of the one around it."""
    return NOBODY if _tracing is None else _tracing.span(name, kind, attributes)


def request(name: str, headers: Mapping[str, str], **attributes: Attribute) -> Span:
    """The span of a request that came in; it goes on with its caller's trace (W3C `traceparent`, `tracestate`)."""
    return NOBODY if _tracing is None else _tracing.request(name, headers, attributes)


def headers() -> dict[str, str]:
    """What tells whom we ask of the span around this; empty where nothing is traced."""
    return {} if _tracing is None else _tracing.headers()


def trace_id() -> str | None:
    """Of the span around this, 32 hexadecimal digits; None where nothing is traced."""
    return None if _tracing is None else _tracing.trace_id()


@asynccontextmanager
async def exporting(endpoint: str, service: str, sampler: Sampler, share: float) -> AsyncIterator[None]:
    """Send spans by OTLP over HTTP to the collector at `endpoint`, for the body of the `async with`; "": no tracing.

    `share` is the part of the traces that a sampler of `traceidratio` takes. The queue is bounded and nothing waits for
    it; what is in it at the end is sent within three seconds or lost. Other variables `OTEL_*` are read by the SDK.
    """
    global _tracing
    if not endpoint:
        yield
        return
    from gateway.spans import Tracing

    _tracing = tracing = Tracing(f"{endpoint.rstrip('/')}/v1/traces", service, sampler, share)
    try:
        yield
    finally:
        _tracing = None
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(tracing.close)
