"""What the gateway does under load, beside the official server where that is installed.

    scripts/bench [--kit FOLDER] [--official VENV] [--only single,pdf,long,mixed,alone,backends] …

Starts the stand-in VLM of the kit, then each server in turn with the same layout model and the same pages, and prints
a table. Load, stand-in and servers share the machine's cores.

Limit: pages/s that the stand-in could answer were it always full. CPU: of the server's whole process tree. Memory:
proportional set size of the tree at its peak. Others: cores that other programs on the machine kept busy meanwhile;
figures with much of it are not to be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import charts
import corpus
from servers import ROOT, Server, gateway, official, standin
from tree import Watch

REGIONS = 12
"""Regions that the cheap layout model finds on every page."""


@dataclass
class Row:
    """One line of the table. Times in ms, memory in MB."""

    server: str
    scenario: str
    pages: int
    pages_s: float
    share: float
    p50: float
    p95: float
    p99: float
    cpu_page: float
    client_cpu_page: float
    peak_mb: float
    growth_mb: float
    others: float
    errors: int
    note: str = ""

    def cells(self) -> list[str]:
        return [
            *(self.server, self.scenario, str(self.pages), f"{self.pages_s:.2f}", f"{self.share:.0%}"),
            *(f"{self.p50:.0f}", f"{self.p95:.0f}", f"{self.p99:.0f}", f"{self.cpu_page * 1000:.0f}"),
            *(
                f"{self.peak_mb:.0f}",
                f"{self.growth_mb:.0f}",
                f"{self.others:.1f}",
                f"{self.errors} {self.note}".strip(),
            ),
        ]


HEAD = [
    *("server", "scenario", "pages", "pages/s", "of limit", "p50 ms", "p95 ms", "p99 ms"),
    *("CPU ms/page", "peak MB", "growth MB", "others", "errors"),
]


@dataclass
class Bench:
    """One server at work, its stand-ins' limit in pages/s, and where the documents are."""

    server: Server
    vlms: Sequence[str]
    limit: float
    folder: Path
    seconds: float

    def watch(self) -> Watch:
        return Watch(self.server.pid, (os.getpid(), *self.server.beside))

    def load(self, files: Sequence[Path], **job: Any) -> subprocess.Popen[bytes]:
        whole = {
            "url": self.server.url,
            "dialect": self.server.dialect,
            "files": [str(path) for path in files],
            "requests": 10**6,
            "at_once": 1,
            **job,
        }
        command = [sys.executable, str(Path(__file__).with_name("load.py")), json.dumps(whole)]
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    def measure(self, scenario: str, files: Sequence[Path], note: str = "", **job: Any) -> Row:
        with self.watch() as watch:
            process = self.load(files, **job)
            found = json.loads(process.communicate()[0])
        return self.row(scenario, found, watch, note)

    def row(self, scenario: str, found: dict[str, Any], watch: Watch, note: str = "") -> Row:
        pages = max(found["pages"], 1)
        speed = found["pages"] / found["wall"]
        note = " ".join([note, *found["errors"][:1]]).strip()
        return Row(
            self.server.name,
            scenario,
            found["pages"],
            speed,
            speed / self.limit,
            *(1000 * percentile(found["latencies"], share) for share in (50, 95, 99)),
            watch.cpu / pages,
            found["client_cpu"] / pages,
            watch.peak,
            watch.peak - watch.before,
            watch.others,
            found["error_count"] + found["failed"],
            note,
        )


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share / 100 * (len(ordered) - 1)))] if ordered else float("nan")


def single(bench: Bench, at_once: Sequence[int]) -> Iterator[Row]:
    """One-page documents, several at a time."""
    pages = corpus.pngs(bench.folder, 160)
    bench.measure("warm-up", pages[:8], requests=16, at_once=4)
    for count in at_once:
        yield bench.measure(f"single pages, {count} at a time", pages, at_once=count, seconds=bench.seconds)


def alone(bench: Bench) -> Iterator[Row]:
    """One page with the house to itself; the note has the gateway's own share of its time."""
    pages = corpus.pngs(bench.folder, 160)
    bench.measure("warm-up", pages[:2], requests=2)
    own: list[float] = []
    rows: list[Row] = []
    for path in pages[-20:]:
        rows.append(bench.measure("one page alone", [path], requests=1))
        log = _get(f"{bench.vlms[0]}/log?last={REGIONS}")["requests"]
        slowest = max(1000 * (entry["t_end"] - entry["t_arrive"]) for entry in log)
        own.append(rows[-1].p50 - slowest)
    middle = sorted(rows, key=lambda row: row.p50)[len(rows) // 2]
    middle.note = f"all but the slowest region: {statistics.median(own):.0f} ms"
    middle.cpu_page = statistics.mean(row.cpu_page for row in rows)
    yield middle


def pdf(bench: Bench, pages: int = 30) -> Iterator[Row]:
    """A PDF of scanned pages, whole and as a stream."""
    document = corpus.pdf(bench.folder, pages)
    bench.measure("warm-up", [document], requests=1)
    yield bench.measure(f"{pages}-page PDF", [document], requests=4)
    if bench.server.dialect == "ocr":
        yield bench.measure(f"page 1 alone of the {pages}-page PDF", [document], query="?pages=1", requests=5)
        with bench.watch() as watch:
            found = json.loads(bench.load([document], requests=1, stream=True).communicate()[0])
        yield bench.row(f"{pages}-page PDF, streamed", found, watch, f"first page {1000 * found['firsts'][0]:.0f} ms")


def long(bench: Bench) -> Iterator[Row]:
    """300 pages, again and again: memory must not creep."""
    document = corpus.pdf(bench.folder, 300)
    for turn in range(5):
        yield bench.measure(f"300-page PDF, no. {turn + 1}", [document], requests=1)


def mixed(bench: Bench) -> Iterator[Row]:
    """Single pages one after another, alone and beside a long PDF."""
    pages = corpus.pngs(bench.folder, 160)
    idle = bench.measure("single pages, idle", pages, requests=40)
    yield idle
    other = bench.load([corpus.pdf(bench.folder, 300)], requests=1, query="?pages=1-200")
    beside = bench.measure("single pages beside a 200-page PDF", pages, requests=10**6, seconds=bench.seconds / 2)
    beside.note = f"p95 {beside.p95 / idle.p95:.2f} x idle, PDF {'ended' if other.poll() is not None else 'running'}"
    yield beside
    other.communicate()


SCENARIOS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "alone": alone,
    "pdf": pdf,
    "long": long,
    "mixed": mixed,
}


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


@contextmanager
def benches(options: argparse.Namespace, server: str, backends: int = 1) -> Iterator[Bench]:
    """One of the servers with its stand-ins, running."""
    vlm = ["--max-num-seqs", str(options.seqs), *options.standin.split()]
    layout = options.layout or options.kit / "V2-cheap-onnx"
    if server == "official-default" and options.default_layout:
        layout = options.default_layout
    with ExitStack() as stack:
        if server == "gateway":
            vlms = [stack.enter_context(standin(options.kit, vlm)) for _ in range(backends)]
            log = options.folder / "gateway.log"
            settings = dict(pair.split("=", 1) for pair in options.set)
            running = stack.enter_context(gateway(vlms, layout, log, settings))
        else:
            tuned = server.endswith("tuned")
            folder = options.folder / server
            folder.mkdir(exist_ok=True)
            peer = official(options.kit, options.official, layout, folder, vlm, tuned=tuned)
            running, url = stack.enter_context(peer)
            vlms = [url]
        limit = _get(f"{vlms[0]}/stats")["limit_rps"] * len(vlms) / REGIONS
        yield Bench(running, vlms, limit, options.folder, options.seconds)


def run(options: argparse.Namespace) -> Iterator[Row]:
    only = options.only.split(",")
    names = ["gateway", *(["official-default", "official-tuned"] if options.official else [])]
    for name in names:
        if set(only) - {"backends"}:
            with benches(options, name) as bench:
                if "single" in only:
                    yield from single(bench, [int(count) for count in options.at_once.split(",")])
                for word in only:
                    if word in SCENARIOS and (name == "gateway" or word == "pdf"):
                        yield from SCENARIOS[word](bench)
    if "backends" in only:
        for count in (1, 2, 4):
            with benches(options, "gateway", count) as bench:
                pages = corpus.pngs(bench.folder, 160)
                bench.measure("warm-up", pages[:8], requests=16, at_once=4)
                yield bench.measure(f"{count} backends", pages, at_once=8 * count, seconds=bench.seconds)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kit", type=Path, default=ROOT.parent / "shared" / "peer", help="folder of vlm_standin.py")
    parser.add_argument("--layout", type=Path, help="layout model's folder, named V2… or V3…")
    parser.add_argument(
        "--default-layout", type=Path, help="of the official server as it comes; Paddle's own format is run by Paddle"
    )
    parser.add_argument("--official", type=Path, metavar="VENV", help="environment of the official server")
    parser.add_argument("--only", default="single,alone,pdf,long,mixed,backends", help="comma-separated scenarios")
    parser.add_argument("--at-once", default="1,4,16,32", help="single pages at a time")
    parser.add_argument("--seqs", type=int, default=64, help="sequences that each stand-in runs at once")
    parser.add_argument("--standin", default="", help="more arguments for the stand-in")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the gateway")
    parser.add_argument("--seconds", type=float, default=15, help="length of each load")
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench", help="documents, logs and results")
    parser.add_argument("--json", type=Path, help="add the rows to this file, a JSON object a line")
    parser.add_argument("--charts", type=Path, metavar="FOLDER", help="draw the rows of --json there, and run nothing")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    if options.charts:
        charts.draw([json.loads(line) for line in options.json.read_text().splitlines()], options.charts)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for row in run(options):
        rows.append(row)
        sys.stderr.write(" | ".join(row.cells()) + "\n")
        if options.json:
            with options.json.open("a") as out:
                out.write(json.dumps({"seqs": options.seqs, **asdict(row)}) + "\n")
    lines = [HEAD, ["---"] * len(HEAD), *(row.cells() for row in rows)]
    sys.stdout.write("".join(f"| {' | '.join(line)} |\n" for line in lines))


if __name__ == "__main__":
    main()
