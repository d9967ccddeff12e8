"""How many requests at once: fixed numbers beside the number that adapts, while the backend's speed changes.

    python bench/in_flight.py [--kit FOLDER] [--seconds 12] [--without-metrics]

A stand-in VLM runs 64 sequences, then it takes twice as long for everything, then a new one runs 16 sequences at the
old speed, then one 128, then one 64 again; the reader always has more crops than seats. For each number: answers/s in
each phase, and the seconds from a crop to its answer (median and 95th percentile), which even a caller whose turn it is
has to wait, of crops made within the phase. What comes while a stand-in is started counts in no phase.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import anyio
import uvloop
from PIL import Image
from servers import ROOT, free_port

from gateway.document import Task
from gateway.vlm.client import Recognizer
from gateway.vlm.monitor import Monitor

MODEL = "PaddleOCR-VL-1.5-0.9B"
SLOW = ["--per-token-ms", "10", "--slice-ms", "100"]
"""So that the processor is no limit: an answer takes 0.6 to 0.9 seconds."""


@dataclass
class Phase:
    """One state of the backend, and what a reader got done in it."""

    name: str
    answers: int = 0
    begun: float = 0.0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)


class Backend:
    """A stand-in on one port, started anew with another number of sequences."""

    def __init__(self, kit: Path, metrics: bool) -> None:
        self.kit, self.metrics, self.port = kit, metrics, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, sequences: int) -> None:
        self.stop()
        command = [sys.executable, str(self.kit / "vlm_standin.py"), "--port", str(self.port), *SLOW]
        self._process = subprocess.Popen(  # noqa: ASYNC220
            [*command, "--max-num-seqs", str(sequences)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        async with aiohttp.ClientSession() as http:
            while True:
                try:
                    async with http.get(f"{self.url}/health"):
                        break
                except aiohttp.ClientConnectorError:
                    await anyio.sleep(0.1)
        if not self.metrics:
            await self.order({"metrics": 404})

    async def order(self, mode: dict[str, object]) -> None:
        async with aiohttp.ClientSession() as http, http.post(f"{self.url}/fail", data=json.dumps(mode)) as answer:
            answer.raise_for_status()

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()


def crop() -> bytes:
    """One of many, so that no two are equal."""
    file = io.BytesIO()
    Image.new("RGB", (120, 40), random.randbytes(3)[0:3].hex().join(("#", ""))).save(file, "JPEG")
    return file.getvalue()


@asynccontextmanager
async def reader(url: str, in_flight: int | None) -> AsyncIterator[Recognizer]:
    async with (
        Monitor([f"{url}/v1"], MODEL) as monitor,
        Recognizer(monitor, in_flight=in_flight) as recognizer,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(monitor.run)
        tasks.start_soon(recognizer.run)
        while not monitor.ready:
            await monitor.probe()
        yield recognizer
        tasks.cancel_scope.cancel()


async def load(recognizer: Recognizer, phases: list[Phase], at_once: int) -> None:
    """Keep `at_once` reads going; what they do is put down in the latest phase."""

    async def one() -> None:
        while True:
            begun = 0.0

            def timed() -> bytes:
                nonlocal begun
                begun = time.monotonic()
                return crop()

            await recognizer.read(timed, Task.OCR)
            phases[-1].answers += 1
            if begun > phases[-1].begun:
                phases[-1].latencies.append(time.monotonic() - begun)

    async with anyio.create_task_group() as tasks:
        for _ in range(at_once):
            tasks.start_soon(one)


async def measure(backend: Backend, in_flight: int | None, seconds: float) -> list[Phase]:
    phases = [Phase("warm-up")]

    async def last(name: str) -> None:
        phases.append(Phase(name, begun=time.monotonic()))
        await anyio.sleep(seconds)
        phases[-1].seconds = time.monotonic() - phases[-1].begun

    async def anew(sequences: int) -> None:
        phases.append(Phase("between"))
        await backend.start(sequences)
        while not phases[-1].answers:  # noqa: ASYNC110
            await anyio.sleep(0.05)

    await backend.start(64)
    async with reader(backend.url, in_flight) as recognizer, anyio.create_task_group() as tasks:
        tasks.start_soon(load, recognizer, phases, 400)
        await anyio.sleep(2)
        await last("64 sequences")
        await backend.order({"slow": 2})
        await last("half as fast")
        await anew(16)
        await last("16 sequences")
        await anew(128)
        await last("128 sequences")
        await anew(64)
        await last("64 again")
        tasks.cancel_scope.cancel()
    return [phase for phase in phases[1:] if phase.name != "between"]


def row(name: str, phases: Sequence[Phase]) -> str:
    cells = [name]
    for phase in phases:
        cut = statistics.quantiles(phase.latencies, n=20)
        cells.append(f"{phase.answers / phase.seconds:.0f}/s, {cut[9]:.2f} ({cut[18]:.2f}) s")
    return f"| {' | '.join(cells)} |"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kit", type=Path, default=ROOT.parent / "shared" / "peer", help="folder of vlm_standin.py")
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--numbers", default="16,32,64,128,", help="comma-separated; nothing: adapting")
    parser.add_argument("--without-metrics", action="store_true", help="the stand-in has no /metrics")
    options = parser.parse_args()
    backend = Backend(options.kit, metrics=not options.without_metrics)
    begun = False
    try:
        for number in options.numbers.split(","):
            phases = await measure(backend, int(number) if number else None, options.seconds)
            if not begun:
                sys.stdout.write(
                    f"| at once | {' | '.join(p.name for p in phases)} |\n{'| --- ' * (len(phases) + 1)}|\n"
                )
                begun = True
            sys.stdout.write(row(number or "adapting", phases) + "\n")
            sys.stdout.flush()
    finally:
        backend.stop()


if __name__ == "__main__":
    uvloop.run(main())
