"""scripts/run.sh with the real gateway and the real embedded backend, on the environment that runs these tests."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from living import free_port, processes, until
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    Path(sys.prefix) != ROOT / ".venv", reason="run.sh uses .venv, and these tests run in another environment"
)


class Run:
    """One run of scripts/run.sh; `stdout` and `stderr` are what it has said so far."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.run_dir = folder / "run"
        self._out, self._err = folder / "out", folder / "err"
        self.environment = {
            **os.environ,
            "RUN_DIR": str(self.run_dir),
            "GATEWAY_PORT": str(free_port()),
            "GENAI_PORT": str(free_port()),
            **environment,
        }
        with self._out.open("wb") as out, self._err.open("wb") as err:
            command = [ROOT / "scripts" / "run.sh", *arguments]
            self.process = subprocess.Popen(command, env=self.environment, cwd=folder, stdout=out, stderr=err)

    @property
    def stdout(self) -> str:
        return self._out.read_text()

    @property
    def stderr(self) -> str:
        return self._err.read_text()

    def end(self, bound_s: float = 100) -> int:
        """The exit status; there must be no process left by then."""
        status = self.process.wait(bound_s)
        assert processes(self.run_dir) == []
        return status


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Path]:
    picture = Image.new("RGB", (900, 240), "white")
    ImageDraw.Draw(picture).text((40, 80), "Invoice 20817 of May", fill="black", font=ImageFont.load_default(56))
    picture.save(tmp_path / "page.png")
    return tmp_path / "page.png"


def test_once_prints_the_markdown_and_stops(tmp_path, page):
    """--once prints the text of every file and nothing else on stdout, ends with 0 and leaves no process."""
    run = Run(tmp_path, "--once", "page.png", str(page))
    assert run.end() == 0, run.stderr
    assert run.stdout.replace("# ", "") == "Invoice 20817 of May\n\nInvoice 20817 of May\n"


def test_serves_until_interrupted(tmp_path, page):
    """Without --once it answers requests after the first page, until Ctrl-C ends it with 0."""
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    run = Run(tmp_path, str(page))
    until(lambda: "serving on" in run.stderr, f"the service: {run.stderr}", 100)
    assert "Invoice 20817" in run.stdout
    read = [sys.executable, ROOT / "scripts" / "read.py", f"http://127.0.0.1:{run.environment['GATEWAY_PORT']}", "9"]
    again = subprocess.run([*read, str(page), tmp_path / "broken.png"], capture_output=True, text=True, check=False)
    assert (again.returncode, "Invoice 20817" in again.stdout) == (1, True)
    assert "broken.png: 400" in again.stderr
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 0


@pytest.mark.parametrize("words", ["run | starting the service", "entrypoint | gateway on"])
def test_termination_during_the_start_leaves_no_process(tmp_path, page, words):
    """SIGTERM before the service is healthy ends everything, with the status of that signal."""
    run = Run(tmp_path, "--once", str(page))
    until(lambda: words in run.stderr, "the start", 100)
    run.process.send_signal(signal.SIGTERM)
    assert run.end() == 143
    assert run.stdout == ""


def test_a_missing_file_is_told_before_anything_starts(tmp_path):
    """A file that is not there ends the run with 2 and is named."""
    run = Run(tmp_path, "--once", "nowhere.png")
    assert run.end() == 2
    assert "cannot read nowhere.png" in run.stderr
    assert not run.run_dir.exists()


def test_a_taken_port_is_told(tmp_path, page):
    """When somebody listens on the gateway's port, the run ends with 2 and says how to choose another one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run = Run(tmp_path, "--once", str(page), GATEWAY_PORT=str(taken.getsockname()[1]))
        assert run.end() == 2
    assert "is taken by another program; choose another one with GATEWAY_PORT" in run.stderr
