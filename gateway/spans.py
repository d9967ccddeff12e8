"""The spans of `traces`, as OpenTelemetry's SDK has them; imported only where they are wanted."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from threading import Thread
from types import TracebackType

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider, sampling
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway.errors import GatewayError
from gateway.traces import NOBODY, Attribute, Kind, Sampler, Span

log = logging.getLogger(__name__)

_FLUSH_S = 3.0
"""For what is left at the end."""

_COMPLAINT_S = 60.0
"""Between two lines about a collector that is away."""

_CHATTY = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal")
_KINDS: dict[Kind, trace.SpanKind] = {
    "INTERNAL": trace.SpanKind.INTERNAL,
    "SERVER": trace.SpanKind.SERVER,
    "CLIENT": trace.SpanKind.CLIENT,
}


class Tracing:
    """Sends spans to `url`. Nothing of it is global: whatever else uses OpenTelemetry in the process stays as it is."""

    def __init__(self, url: str, service: str, sampler: Sampler, share: float) -> None:
        _now_and_then.begin()
        for name in _CHATTY:
            logging.getLogger(name).addFilter(_now_and_then)
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": service}),
            sampler=_sampler(sampler, share),
            shutdown_on_exit=False,
        )
        self._exporter = OTLPSpanExporter(endpoint=url)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("gateway")
        self._w3c = TraceContextTextMapPropagator()
        log.info("traces go to %s", url)

    def span(self, name: str, kind: Kind, attributes: Mapping[str, Attribute], parent: Context | None = None) -> Span:
        """A child of the span around this, or of the one in `parent`."""
        if parent is None:
            around = trace.get_current_span().get_span_context()
            if around.is_valid and not around.trace_flags.sampled:  # every sampler leaves out its children too
                return NOBODY
        return _Live(self._tracer.start_span(name, parent, _KINDS[kind], attributes))

    def request(self, name: str, headers: Mapping[str, str], attributes: Mapping[str, Attribute]) -> Span:
        """A child of the one that `headers` name, or of none."""
        # from nothing: a request that was sent ahead on its connection begins in the context of the one before
        return self.span(name, "SERVER", attributes, self._w3c.extract(headers, Context()))

    def headers(self) -> dict[str, str]:
        """W3C's, of the span around this."""
        carrier: dict[str, str] = {}
        self._w3c.inject(carrier)
        return carrier

    def trace_id(self) -> str | None:
        """Of the span around this."""
        around = trace.get_current_span().get_span_context()
        return trace.format_trace_id(around.trace_id) if around.is_valid else None

    def close(self) -> None:
        """Send what is left; the SDK alone would try for half a minute."""
        ending = Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(_FLUSH_S)
        if ending.is_alive():
            log.warning("the last traces are lost: the collector did not take them within %g s", _FLUSH_S)
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # ends its pauses between attempts


class _Live(Span):
    """A span of the SDK; also one that is not sampled, which still tells others its trace."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def set(self, **attributes: Attribute) -> None:
        self._span.set_attributes(attributes)

    def fail(self, code: str, detail: str) -> None:
        self._span.set_attribute("error.type", code)
        self._span.set_status(trace.Status(trace.StatusCode.ERROR, detail))

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def __enter__(self) -> Span:
        self._token = attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        detach(self._token)
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, Exception):
            self.fail(error.code if isinstance(error, GatewayError) else type(error).__name__, str(error))
            if error.__cause__ is not None:
                self.set(cause=f"{type(error.__cause__).__name__}: {error.__cause__}")
        elif error is not None:
            self.set(cancelled=True)
        self._span.end()


class _NowAndThen(logging.Filter):
    """Lets one line a minute through: the SDK has several for every batch that it cannot send."""

    _next = 0.0

    def begin(self) -> None:
        """The next line is let through."""
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _COMPLAINT_S
        return True


_now_and_then = _NowAndThen()


def _sampler(name: Sampler, share: float) -> sampling.Sampler:
    roots: dict[str, sampling.Sampler] = {
        "always_on": sampling.ALWAYS_ON,
        "always_off": sampling.ALWAYS_OFF,
        "traceidratio": sampling.TraceIdRatioBased(share),
    }
    root = roots[name.removeprefix("parentbased_")]
    return sampling.ParentBased(root) if name.startswith("parentbased_") else root
