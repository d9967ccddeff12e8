"""`/metrics` while a gateway works: what rules and dashboard ask for is there, and moves."""

from __future__ import annotations

import base64
import os
import re
import signal
from pathlib import Path

import anyio
import documents
import pytest
import watching
from child_processes import children
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families
from running import Gateway, gateway
from vlm_standin import Standin

from gateway import metrics
from gateway.document import CLASSES, Kind, Task
from gateway.vlm.restart import Restart

RUNAWAY = "and the amount of the year " * 600
OTHERWISE = {"max_queued_requests": 9, "max_queued_mb": 9, "memory_reserve_mb": 9, "vlm_max_in_flight": 9}
Sample = tuple[str, tuple[tuple[str, str], ...]]


class Looks:
    """Every look at `/metrics`, as values by series."""

    def __init__(self) -> None:
        self._values: dict[Sample, set[float]] = {}
        self._looks = 0

    async def at(self, running: Gateway) -> None:
        text = (await running.http.get("/metrics")).text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                # what was not there was 0, for who counts
                absent = {0.0} if self._looks and family.type != "gauge" else set()
                series = sample.name, tuple(sorted(sample.labels.items()))
                self._values.setdefault(series, absent).add(sample.value)
        self._looks += 1

    def moved(self) -> set[str]:
        """Names of which a series has had two values."""
        return {name for (name, _), values in self._values.items() if len(values) > 1}

    def has(self, one: watching.Selector) -> bool:
        """A series was there that the selector finds."""
        return any(name == one.metric and _fits(dict(labels), one.matchers) for name, labels in self._values)


def _fits(labels: dict[str, str], matchers: tuple[tuple[str, str, str], ...]) -> bool:
    for label, how, value in matchers:
        found = re.fullmatch(value, labels[label]) if "~" in how else labels[label] == value
        if bool(found) == how.startswith("!"):
            return False
    return True


async def _good_requests(running: Gateway) -> None:
    page = documents.png("one")
    for _ in range(2):
        assert (await running.ocr(page)).status_code == 200
    body = {"file": base64.b64encode(page).decode(), "fileType": 1, "useLayoutDetection": False}
    assert (await running.http.post("/layout-parsing", json=body)).status_code == 200
    assert (await running.http.get("/")).status_code == 200


async def _bad_requests(running: Gateway, vlm: Standin, others: set[int]) -> None:
    assert (await running.ocr(b"%PDF-1.7 and no more")).status_code == 400
    refused = await running.http.post("/ocr", json={"url": "http://127.0.0.1/page.png"})
    assert refused.status_code == 403
    vlm.fail(status=500, times=1)
    assert (await running.ocr(documents.png("two"))).json()["status"] == "complete"
    vlm.fail(says=RUNAWAY, sampled=False, times=1)
    assert (await running.ocr(documents.png("three"))).json()["status"] == "complete"
    vlm.fail(says="half a", finish="length", times=1)
    assert (await running.ocr(documents.png("four"))).json()["status"] == "partial"
    for pid in children() - others:
        os.kill(pid, signal.SIGKILL)
    died = await running.ocr(documents.png("five"))  # noticed before the call or in it
    assert died.status_code in (200, 400)


async def _more_than_it_takes(running: Gateway, vlm: Standin, looks: Looks) -> None:
    """A crop hangs at the backend, others wait for its seat, pages for room, and the house is full."""
    vlm.fail(hang=True)
    async with anyio.create_task_group() as callers:
        for number in range(4):
            pages = documents.pdf([f"{number} {page}" for page in range(16)], size=(100, 100))
            callers.start_soon(running.ocr, pages)
        await vlm.until(lambda: vlm.in_flight == 1)
        with anyio.fail_after(60):
            while not all(running.service.pipeline.queues[queue].waiting for queue in ("page", "seat")):
                await looks.at(running)
        await looks.at(running)
        assert (await running.ocr(documents.png())).status_code == 429
        vlm.heal()


@pytest.mark.timeout(180)
async def test_what_rules_and_dashboard_ask_for_moves(tmp_path: Path) -> None:
    """Good and bad requests, a full house, a dead decoder, a restart, a backend that goes: every metric tells of it."""
    looks, others = Looks(), children()
    async with Standin() as vlm:
        async with gateway(vlm.url, **OTHERWISE) as running:
            await looks.at(running)
        async with gateway(vlm.url, cache_mb=1, vlm_max_in_flight=1, max_queued_requests=4) as running:
            await _good_requests(running)
            await _bad_requests(running, vlm, others)
            await _more_than_it_takes(running, vlm, looks)
            assert not await Restart(f"unix://{tmp_path}/none.sock", vlm.url)(vlm.url)
            vlm.stop()
            await running.service.monitor.probe()
            assert (await running.ocr(documents.png("six"))).status_code == 503
            await looks.at(running)
            vlm.start()
    asked = [one for query in watching.queries() for one in watching.selectors(query)]
    asked = [one for one in asked if one.metric.startswith("gateway_")]
    assert {one.metric for one in asked} - looks.moved() == {"gateway_build_info"}
    for one in asked:
        assert looks.has(one), one
        for label, how, value in one.matchers:
            for word in value.split("|") if how == "=~" else ():
                assert looks.has(watching.Selector(one.metric, ((label, "=~", word),), one.by)), (one.metric, word)
    assert _unseen(looks.moved()) == {"gateway_build_info"}


def _unseen(moved: set[str]) -> set[str]:
    """Metrics of the code of which no series moved."""
    names = {one.describe()[0].name for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)}
    return {name for name in names if not {name, f"{name}_total", f"{name}_count"} & moved}


def test_labels_are_bounded() -> None:
    """What a caller, a model or an operator's URL says does not make a series, nor shows a secret."""
    assert {metrics.dialect(path) for path in ("/ocr", "/layout-parsing", "/", "/page/page.js", "/health/vllm")} == {
        "ocr", "paddlex", "page", "operations",
    }  # fmt: skip
    assert {metrics.dialect(path) for path in ("/ocr/x", "/pages", "x", "", "//", "/healthy")} == {"other"}
    known = {*CLASSES, *(task.value for task in Task)}
    assert {metrics.label(name) for name in known} == known
    assert metrics.label("watermark") == "other"
    assert metrics.backend("https://me:hush@gpu-1:8118/v1?key=hush") == "https://gpu-1:8118/v1"
    assert set(Kind) == {sample.labels["kind"] for sample in metrics.DOCUMENTS.collect()[0].samples}
