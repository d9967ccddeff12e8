"""What being watched costs: `python bench/observed.py KIT LAYOUT` drives two gateways in turn, block by block.

One writes warnings only and is asked for nothing else; the other writes a line a request, sends its traces to a
collector as it does by itself (`OTEL_TRACES_SAMPLER=always_on` after the folders: all of them), and is scraped after
every block. Machines change their speed by the minute, so that only neighbouring blocks are compared.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path

import aiohttp
import corpus
from servers import ROOT, Server, free_port, gateway, standin
from tree import cpu_seconds

ROUNDS, PAGES, AT_ONCE = 14, 60, 16


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes every batch of spans and throws it away."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        writer.close()


async def block(http: aiohttp.ClientSession, server: Server, pages: list[bytes]) -> tuple[float, float]:
    """CPU ms a page, and pages a second."""
    left = iter(pages)

    async def caller() -> None:
        for page in left:
            async with http.post(server.url, data=page) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()

    cpu, begun = cpu_seconds(server.pid), time.perf_counter()
    await asyncio.gather(*[caller() for _ in range(AT_ONCE)])
    wall = time.perf_counter() - begun
    return (cpu_seconds(server.pid) - cpu) / len(pages) * 1000, len(pages) / wall


async def compare(plain: Server, watched: Server, pages: list[bytes], collector_port: int) -> None:
    collector = await asyncio.start_server(collect, "127.0.0.1", collector_port)
    rows = []
    async with collector, aiohttp.ClientSession() as http:
        for number in range(ROUNDS + 1):
            found = {}
            for server in (plain, watched) if number % 2 else (watched, plain):
                found[server] = await block(http, server, pages)
            async with http.get(watched.url.replace("/ocr", "/metrics")) as metrics:
                await metrics.read()
            if number:  # the first warms both up
                rows.append((*found[plain], *found[watched]))
                say("plain {:.1f} ms {:.1f} pages/s, watched {:.1f} ms {:.1f} pages/s".format(*rows[-1]))
    cpu = statistics.median(row[2] / row[0] for row in rows)
    speed = statistics.median(row[3] / row[1] for row in rows)
    say(f"watched is plain times {cpu:.3f} in CPU, {speed:.3f} in pages/s (medians of {ROUNDS} pairs)")


def main() -> None:
    kit, layout = map(Path, sys.argv[1:3])
    port = free_port()
    more = dict(each.split("=", 1) for each in sys.argv[3:])
    watching = {"LOG_LEVEL": "info", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", **more}
    folder = ROOT / ".bench"
    pages = [path.read_bytes() for path in corpus.pngs(folder, PAGES)]
    most = {"VLM_MAX_IN_FLIGHT": "128"}
    with (
        standin(kit, ["--max-num-seqs", "128"]) as vlm,
        gateway([vlm], layout, folder / "plain.log", most) as plain,
        gateway([vlm], layout, folder / "watched.log", most | watching) as watched,
    ):
        asyncio.run(compare(plain, watched, pages, port))


if __name__ == "__main__":
    main()
