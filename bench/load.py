"""Sends documents and times the answers, in a process of its own: `python bench/load.py '{"url": …}'`, JSON out.

    url       where to post
    dialect   "ocr" (the bytes as they are) or "layout-parsing" (the official server's: base64 in JSON)
    files     paths, sent in turn
    requests  how many in all
    at_once   how many at the same time
    query     appended to the URL
    seconds   begin no new request after so many
    stream    ask for a page a line and time the first

Bodies are built before the clock starts.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import uvloop


def body(path: str, dialect: str) -> bytes:
    data = Path(path).read_bytes()
    if dialect == "ocr":
        return data
    kind = 0 if path.endswith(".pdf") else 1
    return json.dumps({"file": base64.b64encode(data).decode(), "fileType": kind, "visualize": False}).encode()


def pages_of(raw: bytes, dialect: str, stream: bool) -> tuple[int, int]:
    """Pages read, and regions that failed, by the answer."""
    if dialect != "ocr":
        return len(json.loads(raw)["result"]["layoutParsingResults"]), 0
    usage = json.loads(raw.splitlines()[-1] if stream else raw)["usage"]
    return usage["pages"], usage["failed_regions"]


class Load:
    """One run: `result` is what it found."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.dialect, self.stream = job["dialect"], job.get("stream", False)
        self.latencies: list[float] = []
        self.firsts: list[float] = []
        self.errors: list[str] = []
        self.pages = self.failed = 0

    async def run(self) -> dict[str, Any]:
        bodies = [body(path, self.dialect) for path in self.job["files"]]
        media = "application/json" if self.dialect != "ocr" else "application/octet-stream"
        headers = {"content-type": media, "accept": "application/x-ndjson" if self.stream else "application/json"}
        left = iter(range(self.job["requests"]))
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=600)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
            begun, cpu = time.perf_counter(), time.process_time()
            ends = begun + self.job.get("seconds", 1e9)

            async def caller() -> None:
                for index in left:
                    if time.perf_counter() > ends:
                        return
                    await self.one(session, bodies[index % len(bodies)])

            await asyncio.gather(*[caller() for _ in range(self.job["at_once"])])
            wall = time.perf_counter() - begun
        return {
            "wall": wall,
            "pages": self.pages,
            "failed": self.failed,
            "latencies": self.latencies,
            "firsts": self.firsts,
            "errors": self.errors[:3],
            "error_count": len(self.errors),
            "client_cpu": time.process_time() - cpu,
        }

    async def one(self, session: aiohttp.ClientSession, data: bytes) -> None:
        begun = time.perf_counter()
        try:
            async with session.post(self.job["url"] + self.job.get("query", ""), data=data) as response:
                raw = await response.content.readline() if self.stream else b""
                self.firsts.append(time.perf_counter() - begun)
                raw += await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as exc:
            self.errors.append(repr(exc))
            return
        self.latencies.append(time.perf_counter() - begun)
        if status != 200:
            self.errors.append(f"{status} {raw[:200]!r}")
            return
        pages, failed = pages_of(raw, self.dialect, self.stream)
        self.pages += pages
        self.failed += failed


if __name__ == "__main__":
    sys.stdout.write(json.dumps(uvloop.run(Load(json.loads(sys.argv[1])).run())))
