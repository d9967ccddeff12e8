"""A collector of traces: OTLP over HTTP on a real socket, in a thread, what it is sent decoded from its protobuf.

with Collector() as collector:
    ...                                     # something that sends to collector.url, and has ended
    page, = collector.named("page")
    assert collector.parent(page).name == "POST /ocr"
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent
from opentelemetry.proto.trace.v1.trace_pb2 import Status

ERROR = Status.STATUS_CODE_ERROR


@dataclass(frozen=True)
class Span:
    """One that was sent; ids are in hexadecimal digits, `parent_id` is empty for a root."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    status: int
    why: str
    resource: dict[str, Any]


class Collector:
    """`url` is what a service is to be given as its endpoint."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                spans.extend(_decoded(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def named(self, name: str) -> list[Span]:
        """In the order they ended."""
        return [span for span in self.spans if span.name == name]

    def parent(self, span: Span) -> Span:
        (parent,) = (other for other in self.spans if other.span_id == span.parent_id)
        return parent

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _decoded(body: bytes) -> list[Span]:
    message = ExportTraceServiceRequest.FromString(body)
    return [
        Span(
            name=span.name,
            kind=Sent.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            attributes={pair.key: _value(pair.value) for pair in span.attributes},
            status=span.status.code,
            why=span.status.message,
            resource={pair.key: _value(pair.value) for pair in resource.resource.attributes},
        )
        for resource in message.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return [_value(item) for item in value.array_value.values] if kind == "array_value" else getattr(value, str(kind))
