"""What a gateway's process writes to its log, as JSON, for every kind of request."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import documents
import httpx
import pytest
from collector import Collector
from serving import Serving, serving
from vlm_standin import Standin

PNG = documents.png("Hello")
BAD_PICTURE = {"status": 400, "message": "cannot identify image file", "type": "BadRequestError"}


class Logged:
    """A gateway and the lines of its log."""

    def __init__(self, vlm: Standin, running: Serving, path: Path) -> None:
        self.vlm, self.http, self._path = vlm, running.http, path

    def lines(self, **fields: Any) -> list[dict[str, Any]]:
        """Those with these fields; every line is an object."""
        every = [json.loads(line) for line in self._path.read_text().splitlines()]
        return [line for line in every if fields.items() <= line.items()]

    async def summary(self, request_id: str) -> dict[str, Any]:
        """The one line that sums up a request, which comes after its answer."""
        while not (found := self.lines(logger="gateway.access", request_id=request_id)):  # noqa: ASYNC110
            await anyio.sleep(0.01)
        assert len(found) == 1
        return found[0]


Start = Callable[..., Any]


@pytest.fixture
def logged(tmp_path: Path) -> Start:
    """Starts a gateway that logs; keywords are its environment."""

    @asynccontextmanager
    async def start(**variables: str) -> AsyncIterator[Logged]:
        path = tmp_path / "log"
        settings = {"LOG_LEVEL": "info", "LOG_FORMAT": "json", "CACHE_MB": "1", **variables}
        with path.open("wb") as log:
            async with Standin() as vlm, serving(vlm.url, log=log, **settings) as running:
                yield Logged(vlm, running, path)

    return start


async def test_a_request_is_one_line(logged: Start) -> None:
    """What came, what became of it, and where its time went, for each dialect and form; polls are no lines."""
    async with logged() as gateway:
        http = gateway.http
        pdf = documents.pdf(["one", "two"])
        await http.post("/ocr?language=en", content=pdf, headers={"x-request-id": "whole"})
        headers = {"x-request-id": "stream", "accept": "application/x-ndjson"}
        await http.post("/ocr?language=en", content=pdf, headers=headers)
        body = {"file": base64.b64encode(PNG).decode(), "fileType": 1}
        await http.post("/layout-parsing", json=body, headers={"x-request-id": "paddlex"})
        await http.post("/layout-parsing", json=body | {"fileType": 0}, headers={"x-request-id": "wrong"})
        await http.get("/nowhere", headers={"x-request-id": "none"})
        for path in ("/health", "/health/ready", "/health/vllm", "/metrics"):
            assert (await http.get(path)).status_code == 200
        whole, stream = await gateway.summary("whole"), await gateway.summary("stream")
        paddlex = await gateway.summary("paddlex")
        wrong, none = await gateway.summary("wrong"), await gateway.summary("none")
        assert not [line for line in gateway.lines() if "/health" in line["event"] or "/metrics" in line["event"]]
    head = {"method": "POST", "path": "/ocr", "dialect": "ocr", "status": 200, "outcome": "ok", "level": "info"}
    counts = {"kind": "pdf", "bytes": len(pdf), "pages": 2, "regions": 2, "failed_regions": 0, "retries": 0}
    assert (head | counts | {"cache_hits": 0, "prompt_tokens": 456, "completion_tokens": 122}).items() <= whole.items()
    assert all(whole[f"{stage}_ms"] >= 0 for stage in ("intake", "decode", "layout", "recognition", "assembly"))
    assert (head | counts | {"cache_hits": 2}).items() <= stream.items()
    assert (paddlex["dialect"], paddlex["status"], paddlex["kind"], paddlex["pages"]) == ("paddlex", 200, "png", 1)
    assert (wrong["dialect"], wrong["path"], wrong["status"]) == ("paddlex", "/layout-parsing", 422)
    assert (none["status"], none["outcome"], none["dialect"]) == (404, "not_found", "other")


async def test_a_failed_region_is_a_line(logged: Start) -> None:
    """Which region of which page, why, how often it was tried, where, and for which request; the summary counts it."""
    async with logged() as gateway:
        gateway.vlm.fail(**BAD_PICTURE, times=1)
        await gateway.http.post("/ocr", content=documents.pdf(["one", "two"]), headers={"x-request-id": "mine"})
        summary = await gateway.summary("mine")
        (line,) = gateway.lines(logger="gateway.pipeline.readings")
        url = gateway.vlm.url
    assert line["page"] in (1, 2)
    told = {"region": 0, "attempts": 1, "backend": url, "request_id": "mine", "level": "warning"}
    assert told.items() <= line.items()
    assert (len(line["bbox"]), bool(line["label"]), bool(line["code"]), bool(line["detail"])) == (4, True, True, True)
    assert (summary["outcome"], summary["failed_regions"], summary["pages"]) == ("partial", 1, 2)


async def test_every_line_of_a_request_has_its_id(logged: Start) -> None:
    """Setbacks of single attempts too, of requests that are read side by side."""
    async with logged() as gateway:
        gateway.vlm.fail(status=500, times=3)
        async with anyio.create_task_group() as tasks:
            for name in ("a", "b"):
                send = partial(gateway.http.post, content=documents.png(name), headers={"x-request-id": name})
                tasks.start_soon(send, "/ocr")
        retries = [(await gateway.summary(name))["retries"] for name in ("a", "b")]
        setbacks = gateway.lines(logger="gateway.vlm.attempts")
    assert sum(retries) == len(setbacks) == 3
    assert {line["request_id"] for line in setbacks} <= {"a", "b"}


async def test_an_error_and_a_caller_that_leaves_are_outcomes(logged: Start) -> None:
    """A code where the service gave up, `gone` where nobody waited for the answer, before it began or in its middle."""
    async with logged(REQUEST_TIMEOUT_S="2") as gateway:
        gateway.vlm.fail(hang=True)
        late = await gateway.http.post("/ocr", content=PNG, headers={"x-request-id": "late"})
        with pytest.raises(httpx.ReadTimeout):
            await gateway.http.post("/ocr", content=PNG, headers={"x-request-id": "left"}, timeout=0.3)
        headers = {"x-request-id": "half", "accept": "application/x-ndjson"}
        data = documents.pdf(["", "two"])  # nobody is asked for a blank page
        async with gateway.http.stream("POST", "/ocr", content=data, headers=headers) as response:
            await anext(response.aiter_lines())
        lines = {name: await gateway.summary(name) for name in ("late", "left", "half")}
    assert late.status_code == 504
    outcomes = {name: (line["outcome"], line["status"]) for name, line in lines.items()}
    assert outcomes == {"late": ("deadline_exceeded", 504), "left": ("gone", 499), "half": ("gone", 200)}


async def test_the_line_names_its_trace(logged: Start) -> None:
    """With tracing on, from the log to the trace and back."""
    with Collector() as collector:
        async with logged(
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_TRACES_SAMPLER="always_on", OTEL_BSP_SCHEDULE_DELAY="100"
        ) as gateway:
            await gateway.http.post("/ocr", content=PNG, headers={"x-request-id": "mine"})
            summary = await gateway.summary("mine")
            while not collector.named("POST /ocr"):  # noqa: ASYNC110
                await anyio.sleep(0.01)
        (request,) = collector.named("POST /ocr")
    assert (request.trace_id, request.attributes["request_id"]) == (summary["trace_id"], "mine")
