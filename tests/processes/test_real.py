"""The supervised service with its real programs: what callers and operators see when one is killed."""

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from living import until
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parents[2]
PROGRAMS = ("gateway", "genai")


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


def documented() -> dict[str, list[str]]:
    """The commands of docs/operations.md by their words, as they are here: outside a container, with our own paths."""
    text = (ROOT / "docs" / "operations.md").read_text()
    found = re.findall(
        r"^docker exec NAME (supervisorctl) -c /app/supervisord.conf (.*?)(?: +#.*)?$", text, re.MULTILINE
    )
    program = str(Path(sys.executable).with_name("supervisorctl"))
    return {words: [program, "-c", str(ROOT / "supervisord.conf"), *words.split()] for _, words in found}


def test_what_operators_are_told_to_type_does_what_it_says(service, client):
    """`status`, `tail -f` of both programs, a restart of either that leaves the other alone, and a reload, as
    docs/operations.md has them; each ends with a service that is ready."""
    commands = documented()
    assert set(commands) == {"status", "reload"} | {
        f"{verb} {name}" for verb in ("tail -f", "restart") for name in PROGRAMS
    }

    def says(words: str) -> str:
        command = commands[words]
        done = subprocess.run(command, env=service.environment, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout

    def pids() -> dict[str, str]:
        return {name: service.ctl("pid", name).strip() for name in ("gateway", "genai", "listener")}

    until(lambda: health(client) == "ok", "the first start", 100)
    first = pids()
    assert {line.split()[0] for line in says("status").splitlines()} == set(first)
    with ExitStack() as tails:
        lines = {name: tails.enter_context(following(commands[f"tail -f {name}"], service)) for name in PROGRAMS}
        client.post("/ocr", content=b"no document", headers={"X-Request-ID": "told-by-tail"})
        assert any("told-by-tail" in line for line in lines["gateway"])
        assert says("restart genai") == "genai: stopped\ngenai: started\n"
        assert any(str(service.genai_port) in line for line in lines["genai"])
    second = pids()
    assert [name for name in first if first[name] != second[name]] == ["genai"]
    assert says("restart gateway") == "gateway: stopped\ngateway: started\n"
    third = pids()
    assert [name for name in first if second[name] != third[name]] == ["gateway"]
    assert says("status").count(" RUNNING ") == 3
    assert "Restarted supervisord" in says("reload")
    until(lambda: all(pid.isdigit() and pid != third[name] for name, pid in pids().items()), "new processes")
    until(lambda: health(client) == "ok", "the start after the reload", 100)
    assert service.stop() == 0


@contextmanager
def following(command: list[str], service) -> Iterator[Iterator[str]]:
    """The lines that a command prints until it is ended."""
    with subprocess.Popen(command, env=service.environment, stdout=subprocess.PIPE, text=True) as tail:
        assert tail.stdout is not None
        yield iter(tail.stdout.readline, "")
        tail.terminate()


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
