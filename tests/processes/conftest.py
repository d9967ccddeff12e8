"""The real entrypoint.sh, supervisord and listener, with small programs in the place of the gateway and the VLM."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import living
import pytest
from living import BOUND_S, free_port, until

ROOT = Path(__file__).parents[2]
STANDIN = Path(__file__).with_name("standin.py")


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


class Service:
    """One run of entrypoint.sh in a folder of its own, its stdout and stderr in files.

    Further keywords are environment variables; `owner` is the user of the folder.
    """

    def __init__(
        self, folder: Path, entrypoint: Path = ROOT / "entrypoint.sh", owner: int = -1, **environment: str
    ) -> None:
        self.run_dir = folder / "run"
        self.events_file = folder / "events"
        self.port, self.genai_port = free_port(), free_port()
        bin_dir = folder / "bin"
        bin_dir.mkdir(parents=True)
        script(bin_dir / "nvidia-smi", "exit 0")
        for engine in ("vllm", "paddlex_genai_server"):
            script(bin_dir / engine, f'exec {sys.executable} {STANDIN} genai {engine} "$@"')
        python = script(
            bin_dir / "python",
            f'[ "$*" = "-m gateway serve" ] && exec {sys.executable} {STANDIN} gateway\nexec {sys.executable} "$@"',
        )
        self.environment = {
            "PATH": f"{bin_dir}:{os.environ['PATH']}",
            "HOME": str(folder),
            "GATEWAY_PYTHON": str(python),
            "GATEWAY_PORT": str(self.port),
            "GENAI_PORT": str(self.genai_port),
            "GENAI_BACKEND": "vllm",
            "RUN_DIR": str(self.run_dir),
            "DRAIN_S": "5",
            "STANDIN_EVENTS": str(self.events_file),
            **environment,
        }
        os.chown(folder, owner, owner)
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        with self._stdout.open("wb") as out, self._stderr.open("wb") as err:
            self.process = subprocess.Popen(
                [entrypoint], env=self.environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )

    until = staticmethod(until)

    @property
    def stdout(self) -> list[str]:
        return self._stdout.read_text().splitlines()

    @property
    def stderr(self) -> str:
        return self._stderr.read_text()

    @property
    def events(self) -> list[str]:
        return self.events_file.read_text().splitlines() if self.events_file.exists() else []

    def ctl(self, *words: str) -> str:
        return subprocess.run(
            self.ctl_command(*words), env=self.environment, capture_output=True, text=True, timeout=BOUND_S, check=False
        ).stdout

    def ctl_command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(ROOT / "supervisord.conf"), *words]

    def pids(self, name: str) -> list[int]:
        """Process ids of every start of the program `name`, oldest first."""
        return [int(line.split()[2]) for line in self.events if line.startswith(f"{name} started ")]

    def started(self, *names: str, times: int = 1) -> None:
        for name in names:
            until(lambda name=name: len(self.pids(name)) >= times, f"start {times} of {name}: {self.stderr}")

    def stop(self, signum: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(signum)
        try:
            return self.process.wait(BOUND_S)
        except subprocess.TimeoutExpired as exc:
            raise AssertionError("it does not stop:\n" + "\n".join(self.stdout[-40:])) from exc

    @property
    def processes(self) -> list[int]:
        """Every living process of this run."""
        return living.processes(self.run_dir)

    def close(self) -> None:
        """End whatever a failed test left."""
        for pid in self.processes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(BOUND_S)


Start = Callable[..., Service]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts services, each in a folder of its own; ends those that still run."""
    with starting() as begin:
        yield begin


@pytest.fixture(scope="module")
def start_once() -> Iterator[Start]:
    """As `start`, for services that all tests of a module look at."""
    with starting() as begin:
        yield begin


@contextmanager
def starting() -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(**keywords: object) -> Service:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="service-")))
            folder.chmod(0o755)  # pytest's own folders are closed to other users
            service = Service(folder, **keywords)
            stack.callback(service.close)
            return service

        yield begin
