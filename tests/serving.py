"""`python -m gateway serve` as a process of its own, as callers and the system see it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import anyio
import child_processes
import httpx
from anyio.abc import Process
from living import free_port

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Serving:
    """A gateway's process; `http` is a client whose base URL is the gateway's."""

    process: Process
    http: httpx.AsyncClient
    port: int

    @property
    def pids(self) -> list[int]:
        """The gateway's process, then its workers."""
        return [self.process.pid, *sorted(child_processes.children_of(self.process.pid))]

    def peak_bytes(self) -> int:
        """The most memory the gateway and its workers have held, each for itself, since `forget_peak`."""
        return sum(child_processes.peak_bytes(pid) for pid in self.pids)

    def forget_peak(self) -> int:
        """Begin to measure anew; returns what is held now."""
        for pid in self.pids:
            child_processes.forget_peak(pid)
        return self.peak_bytes()


@asynccontextmanager
async def serving(vlm_url: str, *, log: IO[bytes] | None = None, **variables: str) -> AsyncIterator[Serving]:
    """A gateway until the block ends; ready when the block begins. Its stderr goes to `log` or the test's own; further
    keywords are environment variables."""
    port = free_port()
    environment = {
        **os.environ,
        "GATEWAY_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "VLM_URLS": vlm_url,
        "LAYOUT_DETECTOR": "whole-page",
        "LOG_LEVEL": "warning",
        **variables,
    }
    process = await anyio.open_process(
        [sys.executable, "-m", "gateway", "serve"], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stderr=log
    )
    async with process, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
        try:
            with anyio.fail_after(30):
                while not await _ready(http):  # noqa: ASYNC110
                    await anyio.sleep(0.05)
            yield Serving(process, http, port)
        finally:
            if process.returncode is None:
                process.kill()


async def _ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/health/ready")).status_code == 200
    except httpx.TransportError:
        return False
