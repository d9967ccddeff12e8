"""The supervised service with its real programs: what callers and operators see when one is killed."""

import io
import os
import signal
import sys

import httpx
import pytest
from living import until
from PIL import Image, ImageDraw, ImageFont


@pytest.fixture
def page() -> bytes:
    picture = Image.new("RGB", (900, 240), "white")
    ImageDraw.Draw(picture).text((40, 80), "Invoice 20817 of May", fill="black", font=ImageFont.load_default(56))
    png = io.BytesIO()
    picture.save(png, "PNG")
    return png.getvalue()


@pytest.fixture
def service(start):
    return start(GENAI_BACKEND="cpu", LAYOUT_DETECTOR="whole-page", GATEWAY_PYTHON=sys.executable)


@pytest.fixture
def client(service):
    with httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=60, trust_env=False) as client:
        yield client


def health(client: httpx.Client, path: str = "/health") -> str:
    """The word that `path` answers with; "refused" while nobody listens."""
    try:
        return str(client.get(path).json()["status"])
    except httpx.TransportError:
        return "refused"


def kill(service, name: str) -> None:
    os.kill(int(service.ctl("pid", name)), signal.SIGKILL)


def test_either_program_may_be_killed(service, client, page):
    """After kill -9 of the backend, then of the gateway, health tells the truth, callers get the text or a 503 with
    Retry-After, and the service comes back by itself."""
    until(lambda: health(client) == "ok", "the first start", 100)
    kill(service, "genai")
    until(lambda: health(client, "/health/vllm") == "unreachable", "the truth about the backend")
    assert client.get("/health/vllm").status_code == 503
    answer = client.post("/ocr", content=page)
    assert answer.status_code == 200 or (answer.status_code == 503 and "Retry-After" in answer.headers)
    until(lambda: health(client) == "ok" and client.get("/health/ready").is_success, "the backend's return", 100)
    kill(service, "gateway")
    until(lambda: health(client) == "ok", "the gateway's return", 100)
    assert "Invoice 20817 of May" in client.post("/ocr", content=page).json()["markdown"]
    assert service.stop() == 0
    assert service.processes == []
