"""Bombs against the gateway's own process: a true error, little memory, and the next request served."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable

import anyio
import child_processes
import pytest
from hostile.bombs import JSON, PNG, bombs
from serving import serving
from vlm_standin import Standin

MOST_GROWTH = 300 << 20

pytestmark = pytest.mark.alone


async def test_bombs_are_refused_in_time_and_in_little_memory(figures: Callable[[str], None]) -> None:
    """Each is told what is wrong with it, the gateway and its workers grow by 300 MB at most, and serve the next."""
    async with Standin() as vlm, serving(vlm.url) as gateway:
        for _ in range(3):
            assert (await gateway.http.post("/ocr", content=PNG)).status_code == 200
        for name, (request, status, code) in bombs().items():
            before, begun = gateway.forget_peak(), time.monotonic()
            with anyio.fail_after(20):
                answer = await gateway.http.post("/ocr", **request)
            took, grown = time.monotonic() - begun, gateway.peak_bytes() - before
            figures(f"{name}: {answer.status_code} in {took:.2f} s, +{grown >> 20} MiB")
            assert (answer.status_code, answer.json()["code"]) == (status, code), name
            assert grown <= MOST_GROWTH, name
            assert (await gateway.http.post("/ocr", content=PNG)).status_code == 200, name


async def test_a_large_document_is_held_little_more_than_once() -> None:
    """95 MB as they are, and in base64, are read within 300 MB of the gateway's own memory."""
    document = PNG + bytes(95 << 20)
    encoded = b'{"image": "' + base64.b64encode(document) + b'"}'
    async with Standin() as vlm, serving(vlm.url) as gateway:
        for body, headers in ((document, {}), (encoded, JSON)):
            await gateway.http.post("/ocr", content=PNG)
            pid = gateway.process.pid
            child_processes.forget_peak(pid)
            before = child_processes.peak_bytes(pid)
            assert (await gateway.http.post("/ocr", content=body, headers=headers)).status_code == 200
            assert child_processes.peak_bytes(pid) - before <= MOST_GROWTH
