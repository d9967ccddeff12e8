"""The gateway's process: it listens, drains on SIGTERM, and ends true."""

from __future__ import annotations

import os
import signal
import sys

import anyio
import documents
import httpx
from serving import ROOT, serving
from vlm_standin import Standin

PNG = documents.png("Hello")


async def _draining(http: httpx.AsyncClient) -> None:
    """Return once the process says that it drains; the test's own time limit bounds it."""
    while True:
        if (await http.get("/health/ready")).json()["status"] == "draining":
            return
        await anyio.sleep(0.02)


async def test_sigterm_lets_running_requests_finish() -> None:
    """While draining, the port is open, new requests are 503, the running one is served; then the process exits 0."""
    async with Standin() as vlm, serving(vlm.url) as gateway:
        process, http = gateway.process, gateway.http
        vlm.fail(hang=True)
        answers: list[httpx.Response] = []

        async def send() -> None:
            answers.append(await http.post("/ocr", content=PNG))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await vlm.until(lambda: vlm.in_flight == 1)
            process.send_signal(signal.SIGTERM)
            await _draining(http)
            refused = await http.post("/ocr", content=PNG)
            assert (refused.status_code, refused.json()["code"]) == (503, "shutting_down")
            vlm.heal()
        assert answers[0].status_code == 200
        assert await process.wait() == 0


async def test_a_second_signal_ends_the_drain() -> None:
    """Whoever waits is told 503, and the process exits 0 without waiting for `DRAIN_S`."""
    async with Standin() as vlm, serving(vlm.url, DRAIN_S="300") as gateway:
        process, http = gateway.process, gateway.http
        vlm.fail(hang=True)
        answers: list[httpx.Response] = []

        async def send() -> None:
            answers.append(await http.post("/ocr", content=PNG))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await vlm.until(lambda: vlm.in_flight == 1)
            process.send_signal(signal.SIGTERM)
            await _draining(http)
            process.send_signal(signal.SIGTERM)
        assert (answers[0].status_code, answers[0].json()["code"]) == (503, "shutting_down")
        assert await process.wait() == 0


async def test_a_layout_model_that_cannot_be_loaded_ends_the_process() -> None:
    """A gateway that can never serve says why and exits non-zero, so that supervisord sees it."""
    environment = {
        **os.environ,
        "GATEWAY_PORT": "18081",
        "LAYOUT_DETECTOR": "paddlex",
        "LAYOUT_MODEL_DIR": "/nowhere",
        "LOG_FORMAT": "text",
    }
    done = await anyio.run_process([sys.executable, "-m", "gateway", "serve"], cwd=ROOT, env=environment, check=False)
    assert done.returncode not in (0, None)
    assert b"/nowhere" in done.stderr


async def test_a_wrong_setting_is_named_before_anything_starts() -> None:
    """The operator reads the variable's name, not a traceback."""
    environment = {**os.environ, "MAX_PAGES": "many"}
    done = await anyio.run_process([sys.executable, "-m", "gateway", "serve"], cwd=ROOT, env=environment, check=False)
    assert done.returncode == 2
    assert b"MAX_PAGES" in done.stderr
    assert b"Traceback" not in done.stderr
