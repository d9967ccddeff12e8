"""Compare HTTP transports for the way to the VLM: what a cancel storm leaves behind, and CPU per request.

    python bench/transport.py [--requests 6000] [--only httpx,httpx+aiohttp,httpx2,httpx2+aiohttp,aiohttp,own]

Client and server are processes of their own on one machine, over a real socket, both on uvloop. Storm: requests on a
pool of 10 connections, 40 at a time, each cancelled at a random moment; then 10 requests at once must all be in the
server together. CPU: a 60 KB JSON body up, a small answer down, 32 in flight, plain and as 61 SSE chunks.
`own` is `gateway.vlm.transport`, which has no bound of its own: its seats are bound as in the gateway.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.metadata
import json
import random
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, Self

import aiohttp
import uvicorn
import uvloop

from gateway.vlm.transport import Transport

CANDIDATES = ("httpx", "httpx+aiohttp", "httpx2", "httpx2+aiohttp", "aiohttp", "own")
POOL, STORM_AT_ONCE, CPU_AT_ONCE = 10, 40, 32


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


BODY = json.dumps({"model": "m", "image": "A" * 60_000}).encode()
CHUNK = b'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"word"},"finish_reason":null}]}\n\n'
ANSWER = json.dumps({"choices": [{"message": {"content": "word " * 60}, "finish_reason": "stop"}]}).encode()


class Server:
    """`/short` answers after 0-5 ms, `/plain` and `/stream` at once, `/meet` when POOL callers are in it together."""

    def __init__(self) -> None:
        self.meeting, self.most = 0, 0
        self.full = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        while (message := await receive()).get("more_body"):
            pass
        if message["type"] == "http.disconnect":
            return
        path = scope["path"]
        if path == "/short":
            await asyncio.sleep(random.random() * 0.005)
        elif path == "/meet":
            await self.meet()
        kind = b"text/event-stream" if path == "/stream" else b"application/json"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        if path == "/stream":
            for _ in range(60):
                await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
                await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": str(self.most).encode() if path == "/meet" else ANSWER})

    async def meet(self) -> None:
        self.meeting += 1
        self.most = max(self.most, self.meeting)
        if self.meeting >= POOL:
            self.full.set()
        try:
            await asyncio.wait_for(self.full.wait(), 3)
        except TimeoutError:
            pass
        finally:
            self.meeting -= 1


def serve(port: int) -> None:
    app = Server()
    uvicorn.run(app, host="127.0.0.1", port=port, loop="uvloop", http="httptools", log_level="error", lifespan="off")


class Direct:
    """aiohttp with as much of httpx's interface as is measured here."""

    def __init__(self, pool: int) -> None:
        self._pool = pool

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=self._pool, keepalive_timeout=4)
        self._http = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def post(self, url: str, content: bytes) -> Any:
        async with self._http.post(url, data=content) as response:
            text = await response.text()
        return SimpleNamespace(text=text, json=partial(json.loads, text))

    @asynccontextmanager
    async def stream(self, _: str, url: str, content: bytes) -> AsyncIterator[Any]:
        async with self._http.post(url, data=content) as response:
            yield SimpleNamespace(aiter_lines=partial(self._lines, response))

    async def _lines(self, response: aiohttp.ClientResponse) -> AsyncIterator[str]:
        async for piece in response.content.iter_any():
            for line in piece.decode().splitlines():
                yield line


class Own:
    """The gateway's own client with as much of httpx's interface as is measured here."""

    def __init__(self, pool: int) -> None:
        self._seats = asyncio.Semaphore(pool)
        self._http = Transport()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def post(self, url: str, content: bytes) -> Any:
        async with self._seats:
            text = (await self._http.post(url, content, {})).content.decode()
        return SimpleNamespace(text=text, json=partial(json.loads, text))

    async def events(self, url: str, content: bytes) -> int:
        """How many come."""
        seen = 0

        def heard(piece: bytes) -> bool:
            nonlocal seen
            seen += sum(line.startswith("data:") for line in piece.decode().splitlines())
            return False

        async with self._seats:
            await self._http.post(url, content, {}, heard)
        return seen


def client(name: str, pool: int) -> Any:
    """A client with a pool of so many connections."""
    if name == "own":
        return Own(pool)
    if name == "aiohttp":
        return Direct(pool)
    if name.startswith("httpx2"):
        import httpx2

        sys.modules["httpx"] = httpx2  # httpx-aiohttp knows only `httpx`: the one way to put them together
    import httpx

    limits = httpx.Limits(max_connections=pool, max_keepalive_connections=pool, keepalive_expiry=4)
    more: dict[str, Any] = {"limits": limits}
    if name.endswith("+aiohttp"):
        import httpx_aiohttp

        more = {"transport": httpx_aiohttp.AiohttpTransport(limits=limits)}
    return httpx.AsyncClient(timeout=httpx.Timeout(None, pool=None), trust_env=False, **more)


async def storm(http: Any, url: str, total: int) -> dict[str, Any]:
    """Cancel `total` requests at random moments, then see how many the pool still does at once."""
    rng, left, cancelled = random.Random(1), iter(range(total)), 0

    async def one() -> None:
        nonlocal cancelled
        for _ in left:
            task: asyncio.Future[Any] = asyncio.ensure_future(http.post(url + "/short", content=BODY))
            await asyncio.sleep(rng.random() * 0.02)
            task.cancel()
            await asyncio.wait([task])
            cancelled += task.cancelled() or task.exception() is not None

    workers = [asyncio.ensure_future(one()) for _ in range(STORM_AT_ONCE)]
    _, stuck = await asyncio.wait(workers, timeout=180)
    for worker in stuck:
        worker.cancel()
    await asyncio.sleep(0.5)
    meets: list[asyncio.Future[Any]] = [
        asyncio.ensure_future(http.post(url + "/meet", content=b"{}")) for _ in range(POOL)
    ]
    done, pending = await asyncio.wait(meets, timeout=8)
    at_once = max((int(t.result().text) for t in done if not t.exception()), default=0)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    return {"cancelled": cancelled, "at_once": at_once, "stuck": len(pending)}


async def cpu(http: Any, url: str, path: str, total: int) -> float:
    """Milliseconds of this process's CPU per request."""
    left = iter(range(total))

    async def one() -> None:
        for _ in left:
            if path == "/plain":
                assert (await http.post(url + path, content=BODY)).json()
                continue
            if isinstance(http, Own):
                assert await http.events(url + path, BODY) == 60
                continue
            seen = 0
            async with http.stream("POST", url + path, content=BODY) as response:
                async for line in response.aiter_lines():
                    seen += line.startswith("data:")
            assert seen == 60, seen

    await asyncio.gather(*(one() for _ in range(4)))
    left = iter(range(total))
    began = time.process_time()
    await asyncio.gather(*(one() for _ in range(CPU_AT_ONCE)))
    return 1000 * (time.process_time() - began) / total


async def measure(name: str, url: str, total: int) -> dict[str, Any]:
    async with client(name, POOL) as http:
        row = await storm(http, url, total)
    gc.collect()
    async with client(name, 2 * CPU_AT_ONCE) as http:
        row["plain_ms"] = await cpu(http, url, "/plain", total // 3)
        row["stream_ms"] = await cpu(http, url, "/stream", total // 6)
    return row


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def wait_for(port: int) -> None:
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the server did not start")


def child(name: str, total: int) -> dict[str, Any]:
    """One candidate against a fresh server, both in fresh processes."""
    port = free_port()
    server = subprocess.Popen([sys.executable, __file__, "--serve", str(port)])
    try:
        wait_for(port)
        command = [sys.executable, __file__, "--measure", name, "--requests", str(total), "--serve", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=400)
        if done.returncode:
            return {"error": done.stderr.strip().splitlines()[-1]}
        return dict(json.loads(done.stdout.strip().splitlines()[-1]))
    finally:
        server.kill()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=6000)
    parser.add_argument("--only", default=",".join(CANDIDATES))
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        warnings.simplefilter("ignore")
        row = uvloop.run(measure(args.measure, f"http://127.0.0.1:{args.serve}", args.requests))
        return say(json.dumps(row))
    if args.serve:
        return serve(args.serve)
    versions = {p: importlib.metadata.version(p) for p in ("httpx", "httpcore", "aiohttp", "httpx-aiohttp", "uvloop")}
    say(", ".join(f"{name} {version}" for name, version in versions.items()))
    say(f"| transport | cancelled of {args.requests} | then at once of {POOL} | stuck | CPU ms plain | streamed |")
    say("| --- | --- | --- | --- | --- | --- |")
    for name in args.only.split(","):
        row = child(name, args.requests)
        if "error" in row:
            say(f"| {name} | {row['error']} |")
            continue
        left = f"{row['cancelled']} | {row['at_once']} | {row['stuck']}"
        say(f"| {name} | {left} | {row['plain_ms']:.2f} | {row['stream_ms']:.2f} |")


if __name__ == "__main__":
    main()
