"""The images, as far as they can be judged without an engine: what they name exists and what they promise is there."""

import fnmatch
import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILES = [ROOT / "docker" / "Dockerfile", ROOT / "docker" / "Dockerfile.cpu"]


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Each instruction and its arguments, continued lines joined, comments left out."""
    text = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", dockerfile.read_text(), flags=re.M))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def argument(dockerfile: Path, instruction: str) -> str:
    return [words for name, words in instructions(dockerfile) if name == instruction][-1]


def in_context(path: str) -> bool:
    """Whether .dockerignore, which excludes everything first, lets `path` through."""
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    return any(fnmatch.fnmatch(path, pattern) or path.startswith(f"{pattern}/") for pattern in allowed)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_what_is_copied_exists_and_reaches_the_build(dockerfile):
    """Every file that COPY names is in the project and not kept out by .dockerignore."""
    sources = [word for name, words in instructions(dockerfile) if name == "COPY" for word in words.split()[:-1]]
    for source in set(sources) - {"."}:
        assert (ROOT / source).is_file(), source
        assert in_context(source), source
    for needed in ("entrypoint.sh", "supervisord.conf", "docker/health.py", "gateway/serve.py"):
        assert in_context(needed), needed


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_image_runs_the_entrypoint_as_a_plain_user(dockerfile):
    """The user is a number that is not root's, the entrypoint is executable, the port and the probe fit."""
    assert int(argument(dockerfile, "USER")) > 0
    entrypoint = yaml.safe_load(argument(dockerfile, "ENTRYPOINT"))
    assert entrypoint == ["/app/entrypoint.sh"]
    assert (ROOT / "entrypoint.sh").stat().st_mode & 0o111
    assert argument(dockerfile, "EXPOSE") == "8081"
    assert "docker/health.py" in argument(dockerfile, "HEALTHCHECK")


def test_base_image_is_an_argument():
    """The production image's base can be chosen, and is the genai server's by default."""
    assert instructions(DOCKERFILES[0])[:2] == [
        ("ARG", "BASE_IMAGE=ccr-2vdh3abv-pub.cnc.bj.baidubce.com/paddlepaddle/paddlex-genai-vllm-server:latest"),
        ("FROM", "${BASE_IMAGE}"),
    ]


def test_compose_offers_both_images_behind_profiles():
    """Each profile builds its own Dockerfile with a read-only root and time enough to drain."""
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    built = {
        name: (ROOT / "docker" / service["build"]["context"] / service["build"]["dockerfile"]).resolve()
        for name, service in services.items()
    }
    assert built == {"gpu": DOCKERFILES[0], "cpu": DOCKERFILES[1]}
    for name, service in services.items():
        assert service["profiles"] == [name]
        assert service["read_only"] is True
        assert int(service["stop_grace_period"].removesuffix("s")) > 60


@pytest.mark.parametrize(("answer", "status"), [(200, 0), (503, 1), (None, 1)])
def test_image_probe_tells_health_by_its_exit_status(answer, status):
    """docker/health.py ends with 0 only when /health is 200, and minds no proxy."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(answer if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        if answer:
            Thread(target=server.handle_request).start()
        else:
            server.socket.close()
        environment = {**os.environ, "GATEWAY_PORT": str(server.server_port), "http_proxy": "http://127.0.0.1:9"}
        probe = [sys.executable, ROOT / "docker" / "health.py"]
        assert subprocess.run(probe, env=environment, timeout=30, check=False).returncode == status


def test_production_reads_no_page_without_its_layout_model():
    """`auto` would take the whole page for one region where the model is not there yet; the image insists on it."""
    assert "LAYOUT_DETECTOR=paddlex" in (ROOT / "docker/Dockerfile").read_text()
