"""Callers of the supervised service while its backends do everything wrong and its gateway is killed.

`Chaos` starts entrypoint.sh with two stand-in backends of this process, learns what each document gives undisturbed,
and then lets callers go on while `FAULTS` come and go, several at once. `tests/chaos/test_chaos.py` runs it for
seconds, `scripts/chaos` for as long as one likes.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import documents
import httpx
from living import free_port, processes
from PIL import Image
from vlm_standin import Asked, Standin

ROOT = Path(__file__).parents[2]
DEADLINE_S = 10
CALLERS = 40
TOO_LONG = "The decoder prompt (length 30626) is longer than the maximum model length of 16384."

FAULTS: dict[str, dict[str, Any]] = {
    "reset": {"drop": True},
    "429": {"status": 429, "retry_after": "1"},
    "500": {"status": 500},
    "503": {"status": 503},
    "slow": {"slow": 1.0},
    "hung": {"hang": True},
    "stalled": {"stall": True},
    "error in the stream": {"error": "EngineCore encountered an issue."},
    "garbage": {"raw": "<html>what?</html>"},
    "length": {"finish": "length"},
    "abort": {"finish": "abort"},
    "400": {"status": 400, "message": TOO_LONG, "type": "BadRequestError"},
}
"""By name; each meets half of the requests to one backend."""
GREAT = ("refused", "backend killed", "blackout", "gateway killed")
"""Beside them: a backend that takes no new requests or dies with those it has, all backends hung for longer than a
request may take, kill -9 of the gateway."""

TRUE_ERRORS = {
    (429, "overloaded"),
    (503, "backend_unavailable"),
    (503, "backend_starting"),
    (503, "shutting_down"),
    (504, "deadline_exceeded"),
}


def pictures() -> dict[str, bytes]:
    """Documents that stand-ins tell apart by their shape."""
    return {
        "png": documents.png("one", (80, 80)),
        "jpeg": documents.jpeg("two", (80, 40)),
        "tiff": documents.tiff(["three"] * 3, (60, 20)),
        "pdf": documents.pdf(["four"] * 4, (36, 72)),
        "one pdf page": documents.pdf(["five"], (36, 120)),
    }


def shape(asked: Asked) -> str:
    """What a stand-in reads: the same for a picture sent again smaller."""
    with Image.open(io.BytesIO(asked.picture)) as image:
        return f"{asked.prompt} A picture {image.width / image.height:.1f} times as wide as high."


REFUSED = "refused while dead"


@dataclass
class Figures:
    """What came of the requests; `wrong` has a word for each that ended in none of the ways it may."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    together: int = 0
    """Times that several faults were there at once."""
    wrong: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    seconds: float = 0.0

    @property
    def answered(self) -> int:
        """Requests that found a gateway."""
        return sum(count for name, count in self.outcomes.items() if name != REFUSED)

    def __str__(self) -> str:
        total = sum(self.outcomes.values())
        outcomes = ", ".join(f"{name} {count}" for name, count in sorted(self.outcomes.items()))
        faults = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        good = self.outcomes["complete"] + self.outcomes["partial"]
        return (
            f"{total} requests in {self.seconds:.0f} s, slowest {self.slowest_s:.1f} s: {outcomes}\n"
            f"{good} results looked at; faults, {self.together} times several at once: {faults}\n"
            f"wrong: {len(self.wrong)} {self.wrong[:5]}"
        )


class Chaos:
    """One run. `seed` chooses the faults; `kills` is how often the gateway is killed."""

    def __init__(self, url: str, run_dir: Path, backends: list[Standin], *, seed: int, kills: int) -> None:
        self._http = partial(httpx.AsyncClient, base_url=url, timeout=DEADLINE_S + 10, trust_env=False, verify=False)
        self._run_dir = run_dir
        self._backends = backends
        self._random = random.Random(seed)
        self._kills = kills
        self._deck: list[str] = []
        self._down: list[tuple[float, float]] = []
        self._documents = pictures()
        self._wanted: dict[str, list[dict[str, Any]]] = {}
        self._over = False
        self.figures = Figures()

    async def run(self, seconds: float, requests: int) -> Figures:
        """At least `seconds` and until `requests` have ended; then all must be as it was before."""
        begun = time.monotonic()
        await self._until_ready()
        async with self._http() as http:
            for name in self._documents:
                _, self._wanted[name] = await self._ask(http, name, "application/json")
        async with anyio.create_task_group() as tasks:
            for number in range(CALLERS):
                tasks.start_soon(self._call, random.Random(number))
            while time.monotonic() - begun < seconds or self.figures.answered < requests:
                await self._disturb()
            self._heal()
            self._over = True
        await self._until_ready()
        async with self._http() as http:
            for name in self._documents:
                if await self._ask(http, name, "application/json") != ("complete", self._wanted[name]):
                    self.figures.wrong.append(f"afterwards {name} is not what it was")
        self.figures.seconds = time.monotonic() - begun
        return self.figures

    # ---- what goes wrong
    async def _disturb(self) -> None:
        """Faults at one backend or at both, for a second or two; then a pause without any."""
        drawn = [self._draw() for _ in range(self._random.choice((1, 2, 3)))]
        self.figures.together += len(drawn) > 1
        self.figures.faults.update(drawn)
        for name in drawn:
            if name in FAULTS:
                self._random.choice(self._backends).fail(**FAULTS[name], picture=lambda _: random.random() < 0.5)
        if not {"refused", "backend killed"}.isdisjoint(drawn):
            away = self._random.sample(self._backends, self._random.choice((1, 2)))
            await self._be_away(away, killed="backend killed" in drawn)
        if "blackout" in drawn:
            for backend in self._backends:
                backend.fail(hang=True)
            await anyio.sleep(DEADLINE_S + 1)
        if "gateway killed" in drawn:
            await self._kill_gateway()
        await anyio.sleep(self._random.uniform(0.5, 1.5))
        self._heal()
        await anyio.sleep(self._random.uniform(0, 1))

    async def _be_away(self, away: list[Standin], *, killed: bool) -> None:
        """Killed backends break what they were at; others let it end, and take nothing new."""
        for backend in away:
            await anyio.to_thread.run_sync(backend.stop if killed else backend.close_door)
        await anyio.sleep(self._random.uniform(0.5, 3))
        for backend in away:
            await anyio.to_thread.run_sync(backend.stop)
            backend.start()

    def _draw(self) -> str:
        """Every fault comes once before any comes again, the last two as often as `kills` says at most."""
        if not self._deck:
            great = GREAT if self.figures.faults["gateway killed"] < self._kills else GREAT[:2]
            self._deck = self._random.sample((*FAULTS, *great), len(FAULTS) + len(great))
        return self._deck.pop()

    def _heal(self) -> None:
        for backend in self._backends:
            backend.heal()

    async def _kill_gateway(self) -> None:
        killed = time.monotonic()
        os.kill(gateway_pid(self._run_dir), signal.SIGKILL)
        self._down.append((killed, float("inf")))
        await self._until_ready()
        self._down[-1] = (killed, time.monotonic())

    async def _until_ready(self) -> None:
        with anyio.fail_after(60):
            while True:
                try:
                    async with self._http() as http:
                        if (await http.get("/health/ready")).is_success:
                            return
                except httpx.TransportError:
                    pass
                await anyio.sleep(0.1)

    # ---- what callers see
    async def _call(self, chance: random.Random) -> None:
        async with self._http() as http:
            while not self._over:
                name, accept = chance.choice(sorted(self._documents)), chance.choice(ACCEPTED)
                begun = time.monotonic()
                outcome, blocks = "left", []
                try:
                    with anyio.move_on_after(chance.uniform(0, 2) if chance.random() < 0.1 else 2 * DEADLINE_S):
                        outcome, blocks = await self._ask(http, name, accept)
                except httpx.TransportError as error:
                    outcome, blocks = self._broken(begun, error), []
                    await anyio.sleep(0.5)
                if outcome in ("complete", "partial") and not self._fits(name, blocks, outcome):
                    outcome = f"wrong {outcome}"
                self.figures.outcomes[outcome] += 1
                self.figures.slowest_s = max(self.figures.slowest_s, time.monotonic() - begun)
                if outcome.startswith("wrong") or time.monotonic() - begun > DEADLINE_S + 5:
                    self.figures.wrong.append(f"{name} {accept} {time.monotonic() - begun:.1f} s {outcome} {blocks}")

    async def _ask(self, http: httpx.AsyncClient, name: str, accept: str) -> tuple[str, list[dict[str, Any]]]:
        """The outcome of one request, and the blocks it gave."""
        answer = await http.post("/ocr", content=self._documents[name], headers={"accept": accept})
        if answer.status_code != 200:
            code = answer.json()["code"]
            true = (answer.status_code, code) in TRUE_ERRORS
            return f"{'' if true else 'wrong '}{answer.status_code} {code}", []
        if accept == "application/json":
            body = answer.json()
            return body["status"], _blocks(body["pages"])
        *pages, closing = (json.loads(line) for line in answer.text.splitlines())
        if "error" in closing:
            true = any(closing["error"]["code"] == code for _, code in TRUE_ERRORS)
            return f"{'' if true else 'wrong '}stream ended by {closing['error']['code']}", []
        return closing["status"], _blocks(pages)

    def _fits(self, name: str, blocks: list[dict[str, Any]], outcome: str) -> bool:
        """Whole results are the undisturbed ones; in partial ones a block is that, or has an error and no text."""
        wanted = self._wanted[name]
        if len(blocks) != len(wanted):
            return False
        same = [block == other for block, other in zip(blocks, wanted, strict=True)]
        flagged = [bool(block["error"]) for block in blocks]
        return all(one != other for one, other in zip(same, flagged, strict=True)) and any(flagged) == (
            outcome == "partial"
        )

    def _broken(self, begun: float, error: httpx.TransportError) -> str:
        """A connection may break, or be refused, only while the gateway was dead."""
        now = time.monotonic()
        dead = any(begun <= back and now >= killed for killed, back in self._down)
        word = REFUSED if isinstance(error, httpx.ConnectError) else "cut off by the kill"
        return word if dead else f"wrong {type(error).__name__} {error}"


ACCEPTED = ("application/json", "application/x-ndjson")


def _blocks(pages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is to be equal: place and content of every block, or that it has an error."""
    return [
        {"page": page["page"], "bbox": block["bbox"], "content": block["content"], "error": block["error"] and True}
        for page in pages
        for block in page["blocks"]
    ]


def gateway_pid(run_dir: Path) -> int:
    """The gateway's own process, the one that says so on its command line."""
    for pid in processes(run_dir):
        if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:4] == [b"-m", b"gateway", b"serve"]:
            return pid
    raise AssertionError("no gateway runs")


@asynccontextmanager
async def service(*backends: Standin, **variables: str) -> AsyncIterator[tuple[str, Path, subprocess.Popen[bytes]]]:
    """entrypoint.sh in front of `backends`: its URL, folder and process; told to, it must end with 0."""
    with TemporaryDirectory(prefix="chaos-") as folder:
        run_dir, port = Path(folder) / "run", free_port()
        environment = {
            **os.environ,
            "GATEWAY_PYTHON": sys.executable,
            "GATEWAY_PORT": str(port),
            "GATEWAY_HOST": "127.0.0.1",
            "GENAI_BACKEND": "external",
            "VLM_URLS": ",".join(backend.url for backend in backends),
            "RUN_DIR": str(run_dir),
            "LAYOUT_DETECTOR": "whole-page",
            "CACHE_MB": "0",
            "LOG_LEVEL": "warning",
            "REQUEST_TIMEOUT_S": str(DEADLINE_S),
            "DRAIN_S": "5",
            **variables,
        }
        output = Path(folder) / "output"
        with output.open("wb") as out:
            process = subprocess.Popen(  # noqa: ASYNC220
                [ROOT / "entrypoint.sh"], env=environment, stdout=out, stderr=out
            )
        try:
            yield f"http://127.0.0.1:{port}", run_dir, process
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                assert await anyio.to_thread.run_sync(partial(process.wait, 30)) == 0, output.read_text()[-2000:]
            assert processes(run_dir) == []
        finally:
            for pid in processes(run_dir):
                os.kill(pid, signal.SIGKILL)
            process.wait(10)


async def chaos(seconds: float, requests: int, *, seed: int = 1, kills: int = 2) -> Figures:
    """A whole run with two backends."""
    async with AsyncExitStack() as stack:
        backends = [await stack.enter_async_context(Standin(answer=shape)) for _ in range(2)]
        url, run_dir, _ = await stack.enter_async_context(service(*backends))
        return await Chaos(url, run_dir, backends, seed=seed, kills=kills).run(seconds, requests)
