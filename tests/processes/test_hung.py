"""An engine that hangs, told from a busy one and begun anew, by the gateway and supervisord as they are wired."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import documents
import httpx
import pytest
from living import until

HUNG_S = 2.0
PNG = documents.png("Hello")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Path]:
    """The file that says what the engine does."""
    file = tmp_path / "engine"
    file.write_text("busy")
    yield file


def backend(http: httpx.Client) -> dict[str, Any]:
    """What `/health/vllm` says; nothing while nobody listens."""
    try:
        return dict(http.get("/health/vllm").json())
    except httpx.TransportError:
        return {"status": "refused"}


def test_a_hung_engine_is_restarted_and_a_busy_one_is_not(start, engine) -> None:
    """While the engine's counter moves, a request may wait as long as it likes; when it stands still, supervisord
    begins a new engine, health and the log say so, the request ends, and the next one is read."""
    service = start(
        GATEWAY_PYTHON=sys.executable,
        LAYOUT_DETECTOR="whole-page",
        CACHE_MB="0",
        VLM_HUNG_S=str(HUNG_S),
        STANDIN_GENAI="engine",
        STANDIN_ENGINE=str(engine),
    )
    with (
        httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=60, trust_env=False) as http,
        ThreadPoolExecutor(1) as pool,
    ):
        until(lambda: backend(http)["status"] == "ready", "the start", 60)
        waiting = pool.submit(http.post, "/ocr", content=PNG)
        end = time.monotonic() + 4 * HUNG_S
        while time.monotonic() < end:
            assert backend(http)["status"] == "ready" and not waiting.done()
        assert len(service.pids("genai")) == 1
        engine.write_text("hung")
        until(lambda: backend(http)["status"] == "hung", "the truth about the engine")
        service.started("genai", times=2)
        until(lambda: backend(http)["status"] == "ready", "the new engine")
        assert backend(http)["restarted_at"]
        answer = waiting.result(30)
        assert answer.status_code == 200 or (answer.status_code == 503 and "Retry-After" in answer.headers)
        assert http.post("/ocr", content=PNG).is_success
    service.until(lambda: any("is restarted" in line for line in service.stdout), "the words in the log")
    assert len(service.pids("genai")) == 2
    assert service.stop() == 0
