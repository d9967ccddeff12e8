"""A request as the collector of its traces sees it: real gateway, real OTLP, real sockets."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator

import documents
import pytest
from collector import ERROR, Collector, Span
from running import gateway
from vlm_standin import Standin

PNG = documents.png("Hello")
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def lineage(collector: Collector, span: Span) -> list[str]:
    """The names from a span up to its root."""
    names = [span.name]
    while span.parent_id:
        span = collector.parent(span)
        names.append(span.name)
    return names


async def test_a_document_shows_every_stage_under_its_page(collector: Collector) -> None:
    """One trace of two pages: each has its stages, its region and the attempt at it, and health polls have no span."""
    async with (
        Standin() as vlm,
        gateway(vlm.url, otel_exporter_otlp_endpoint=collector.url, otel_traces_sampler="always_on") as running,
    ):
        await running.http.get("/health")
        answer = await running.ocr(documents.pdf(["one", "two"]), {"x-request-id": "mine"}, language="ru")
        assert answer.status_code == 200
        asked = {tuple(request.headers["traceparent"].split("-")[1:3]) for request in vlm.requests}
    (request,) = collector.named("POST /ocr")
    assert {span.trace_id for span in collector.spans} == {request.trace_id}
    pages = collector.named("page")
    assert sorted(page.attributes["page"] for page in pages) == [1, 2]
    assert {tuple(lineage(collector, page)) for page in pages} == {("page", "POST /ocr")}
    for stage in ("decode", "layout", "recognition", "assembly"):
        assert {span.parent_id for span in collector.named(stage)} == {page.span_id for page in pages}
    attempts = collector.named("attempt")
    assert [lineage(collector, attempt) for attempt in attempts] == [
        ["attempt", "region", "recognition", "page", "POST /ocr"]
    ] * 2
    assert asked == {(attempt.trace_id, attempt.span_id) for attempt in attempts}
    told = request.attributes
    assert (request.kind, request.resource["service.name"]) == ("SERVER", "paddleocr-vl-service")
    assert (told["http.response.status_code"], told["http.route"], told["url.path"]) == (200, "/ocr", "/ocr")
    assert (told["request_id"], told["dialect"], told["pages"], told["outcome"]) == ("mine", "ocr", 2, "ok")
    region = collector.named("region")[0].attributes
    assert (region["attempts"], region["outcome"], region["completion_tokens"]) == (1, "ok", 61)
    assert (region["backend"], len(region["bbox"]), region["wait_seat_ms"]) == (vlm.url, 4, 0)
    assert (attempts[0].kind, attempts[0].attributes["http.response.status_code"]) == ("CLIENT", 200)
    assert all(span.status != ERROR for span in collector.spans)


async def test_a_callers_trace_goes_on(collector: Collector) -> None:
    """`traceparent` and `tracestate` of the caller lead to the VLM; one that is none begins a new trace."""
    async with (
        Standin() as vlm,
        gateway(vlm.url, otel_exporter_otlp_endpoint=collector.url, otel_traces_sampler="always_on") as running,
    ):
        await running.ocr(PNG, {"traceparent": CALLER, "tracestate": "shop=7"})
        await running.ocr(PNG, {"traceparent": "00-nonsense"})
        first, second = vlm.requests
    assert first.headers["traceparent"].split("-")[1] == CALLER.split("-")[1]
    assert first.headers["tracestate"] == "shop=7"
    assert second.headers["traceparent"].split("-")[1] != CALLER.split("-")[1]
    goes_on, begins = collector.named("POST /ocr")
    assert (goes_on.parent_id, begins.parent_id) == (CALLER.split("-")[2], "")


async def test_a_failed_region_tells_why(collector: Collector) -> None:
    """Its span and those of its attempts are errors with the cause; the request, which has an answer, is none."""
    async with (
        Standin() as vlm,
        gateway(vlm.url, otel_exporter_otlp_endpoint=collector.url, otel_traces_sampler="always_on") as running,
    ):
        vlm.fail(status=500, message="out of luck", times=4)
        answer = await running.ocr(PNG)
    assert answer.json()["status"] == "partial"
    (region,) = collector.named("region")
    assert (region.status, region.why) == (ERROR, "The recognition backend fails on this crop.")
    assert (region.attributes["error.type"], region.attributes["attempts"]) == ("recognition_failed", 4)
    assert "500" in region.attributes["cause"]
    attempts = collector.named("attempt")
    assert [attempt.attributes["http.response.status_code"] for attempt in attempts] == [500] * 4
    assert {attempt.status for attempt in attempts} == {ERROR}
    (request,) = collector.named("POST /ocr")
    assert (request.status, request.attributes["outcome"], request.attributes["retries"]) == (0, "partial", 3)


async def test_errors_of_a_request_are_on_its_span(collector: Collector) -> None:
    """A service that cannot read is an error with its code; a caller's own mistake is none."""
    async with (
        Standin() as vlm,
        gateway(vlm.url, otel_exporter_otlp_endpoint=collector.url, otel_traces_sampler="always_on") as running,
    ):
        answers = [await running.ocr(b"nothing that is known"), await running.ocr(PNG, priority="no such")]
        vlm.health = 500
        await running.service.monitor.probe()
        answers.append(await running.ocr(PNG))
    assert [answer.status_code for answer in answers] == [415, 422, 503]
    mistakes = collector.named("POST /ocr")
    assert [span.attributes["outcome"] for span in mistakes] == [
        "unsupported_document",
        "invalid_request",
        "backend_unavailable",
    ]
    assert [span.status == ERROR for span in mistakes] == [False, False, True]


@pytest.mark.parametrize(
    ("sampler", "share", "sampled"),
    [
        ("always_on", 0, [True, True]),
        ("always_off", 1, [False, False]),
        ("traceidratio", 0, [False, False]),
        ("traceidratio", 1, [True, True]),
        ("parentbased_always_off", 1, [False, True]),
        ("parentbased_traceidratio", 0, [False, True]),
    ],
)
async def test_what_is_not_sampled_is_not_sent(
    collector: Collector, sampler: str, share: float, sampled: list[bool]
) -> None:
    """The sampler decides, for requests without a trace of their caller and for those with; the backend is told."""
    settings = {
        "otel_exporter_otlp_endpoint": collector.url,
        "otel_traces_sampler": sampler,
        "otel_traces_sampler_arg": share,
    }
    async with Standin() as vlm, gateway(vlm.url, **settings) as running:
        await running.ocr(PNG)
        await running.ocr(PNG, {"traceparent": CALLER})
        told = [int(request.headers["traceparent"].split("-")[3], 16) & 1 == 1 for request in vlm.requests]
    assert told == sampled
    assert len(collector.named("POST /ocr")) == sum(sampled)


async def test_a_collector_that_is_away_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Documents are read, and the log has one line about it and one about what was lost at the end."""
    caplog.set_level(logging.INFO)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    async with (
        Standin() as vlm,
        gateway(vlm.url, otel_exporter_otlp_endpoint=url, otel_traces_sampler="always_on") as running,
    ):
        answers = [await running.ocr(PNG) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    complaints = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len([record for record in complaints if record.name.startswith("opentelemetry")]) == 1
    assert len([record for record in complaints if record.name == "gateway.spans"]) == 1


async def test_off_nothing_is_passed_on() -> None:
    """Without a collector the caller's trace ends here."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        await running.ocr(PNG, {"traceparent": CALLER})
        assert "traceparent" not in vlm.requests[0].headers
