"""Mixed load, and what the service holds meanwhile: minutes in `test_soak.py`, an hour by `scripts/soak`."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio
import child_processes
import documents
import httpx
from chaos.chaos import FAULTS, gateway_pid, pictures, service, shape
from living import processes
from vlm_standin import Standin

LOOK_S = 10.0


def held(run_dir: Path) -> dict[str, int]:
    """Of all processes of the run together: MiB, descriptors, threads, and how many they are."""
    total = Counter(memory=0, descriptors=0, threads=0, processes=0)
    for pid in processes(run_dir):
        with suppress(OSError):
            total["memory"] += child_processes.resident_bytes(pid) >> 20
            total["descriptors"] += len(os.listdir(f"/proc/{pid}/fd"))
            total["threads"] += len(os.listdir(f"/proc/{pid}/task"))
            total["processes"] += 1
    return dict(total)


async def _call(url: str, chance: random.Random, ends: Counter[str], pause: float) -> None:
    kinds = [
        *sorted(pictures().items()),
        ("large", documents.png("large", (4000, 3000))),
        ("broken", documents.pdf(["x"])[:200]),
        ("none", b"nothing"),
    ]
    while True:
        name, data = chance.choice(kinds)
        with suppress(httpx.TransportError):
            async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False, verify=False) as http:
                for _ in range(chance.randrange(1, 20)):
                    with anyio.move_on_after(chance.choice((0.02, 0.1, 30, 30, 30))) as patience:
                        answer = await http.post("/ocr", content=data)
                        ends[f"{name} {answer.status_code}"] += 1
                        await anyio.sleep(chance.uniform(0, 2 * pause))
                    if patience.cancelled_caught:
                        ends["left"] += 1
                        break


async def _disturb(vlm: Standin, chance: random.Random) -> None:
    while True:
        await anyio.sleep(chance.uniform(5, 15))
        vlm.fail(**FAULTS[chance.choice(sorted(FAULTS))], times=chance.randrange(1, 20))
        await anyio.sleep(chance.uniform(1, 3))
        vlm.heal()
        vlm.requests.clear()


def _grown(first: list[dict[str, int]], last: list[dict[str, int]]) -> list[str]:
    """What the least of the last quarter has more of than the most of the first."""
    wrong = []
    for kind in first[0]:
        before, after = max(each[kind] for each in first), min(each[kind] for each in last)
        bound = before * 1.1 + 30 if kind == "memory" else before + 10
        if after > bound:
            wrong.append(f"{kind} grew from {before} to {after}")
    return wrong


async def soak(seconds: float, say: Callable[[str], object], *, callers: int = 6, pause: float = 0.0) -> list[str]:
    """What grew, or otherwise went wrong, while `callers` sent requests, each about `pause` seconds after the last.

    `say` is told every minute what is held, and at the end what was answered.
    """
    ends: Counter[str] = Counter()
    looks: list[dict[str, int]] = []
    begun = time.monotonic()
    async with Standin(answer=shape) as vlm, service(vlm) as (url, run_dir, _), anyio.create_task_group() as tasks:
        await _started(url)
        pid = gateway_pid(run_dir)
        for number in range(callers):
            tasks.start_soon(_call, url, random.Random(number), ends, pause)
        tasks.start_soon(_disturb, vlm, random.Random(0))
        while time.monotonic() - begun < seconds:
            await anyio.sleep(min(LOOK_S, seconds / 12))
            looks.append(held(run_dir))
            if len(looks) % 6 == 1:
                say(f"{time.monotonic() - begun:.0f} s: {looks[-1]}")
        tasks.cancel_scope.cancel()
        alive = gateway_pid(run_dir) == pid
    say(f"{time.monotonic() - begun:.0f} s: {looks[-1]}")
    quarter = len(looks) // 4
    wrong = _grown(looks[quarter // 2 : quarter + 1], looks[-quarter:]) + ([] if alive else ["the gateway died"])
    wrong += [name for name in ends if name.endswith(" 500")]
    say(f"{sum(ends.values())} requests: {dict(ends)}; {wrong or 'nothing grew'}")
    return wrong


async def _started(url: str) -> None:
    with anyio.fail_after(60):
        while True:
            with suppress(httpx.TransportError):
                async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as http:
                    if (await http.get("/health/ready")).is_success:
                        return
            await anyio.sleep(0.1)
