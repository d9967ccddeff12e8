"""How many characters of pages with a known text come out wrong, and how long a page takes.

    scripts/accuracy                                     # the sample pages, everything in this process
    scripts/accuracy --url http://127.0.0.1:8081         # through a running service
    scripts/accuracy --language ru tests/pages/ru_a4.png # one page, with a hint

Beside each page lies its truth, a JSON of the same name: a list of blocks in reading order with `text`, tables also
with `rows`. `tests/scoring.py` says how it is scored. In this process: the CPU layout and the embedded recogniser, two
crops at once, through the same plan, crops and JPEGs as in the service.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import httpx
import numpy as np
from PIL import Image
from scoring import PAGES, Grid, Truth, score

from gateway.assemble.otsl import parse, to_html
from gateway.cpu_backend.reader import Reader
from gateway.document import Pixels, Planned, Task
from gateway.layout.cpu import CpuLayout
from gateway.regions import Rules, crop, encode_jpeg, fitted, plan
from gateway.vlm.prompts import PROMPTS

AT_ONCE = 2


@dataclass(frozen=True)
class Block:
    """What was read in one region; a table's content is HTML."""

    label: str
    content: str


class InProcess:
    """Layout, crops and recognition without HTTP."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._layout, self._reader = CpuLayout(), Reader()
        self._reader.load()

    def read(self, page: Path) -> list[Block]:
        pixels = np.asarray(Image.open(page).convert("RGB"))
        planned = [item for item in plan(self._layout.detect([pixels])[0], Rules()) if item.reading is not None]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return list(threads.map(lambda item: self._block(pixels, item), planned))

    def _block(self, pixels: Pixels, item: Planned) -> Block:
        assert item.reading is not None
        jpeg = encode_jpeg(fitted(crop(pixels, item.reading), PROMPTS[item.reading.task].max_pixels))
        picture = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))
        text = self._reader.read(picture, item.reading.task, self._language)
        return Block(item.region.label, to_html(parse(text)) if item.reading.task is Task.TABLE else text)


def over_http(url: str, language: str) -> Callable[[Path], list[Block]]:
    def read(page: Path) -> list[Block]:
        headers = {"Content-Type": "application/octet-stream"}
        options = {"language": language} if language else {}
        answer = httpx.post(f"{url}/ocr", content=page.read_bytes(), headers=headers, params=options, timeout=300)
        answer.raise_for_status()
        return [Block(b["label"], b["content"]) for p in answer.json()["pages"] for b in p["blocks"]]

    return read


class Cells(HTMLParser):
    """The text of an HTML table, row by row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def measured(page: Path, blocks: Iterable[Block]) -> str:
    texts: list[str] = []
    tables: list[Grid] = []
    for block in blocks:
        if block.label == "table":
            tables.append(Cells(block.content).rows)
            texts += (" ".join(row) for row in tables[-1])
        else:
            texts.append(block.content)
    result = score(Truth.beside(page), texts, tables)
    cells = f"  cells {result.exact}/{result.cells}" if result.cells else ""
    return f"{result.wrong:4} of {result.characters:5} characters wrong {result.percent:6.2f} %{cells}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", type=Path, help="pages, or folders of them; default: the sample pages")
    parser.add_argument("--url", default="", help="a running service; without it everything happens here")
    parser.add_argument("--language", default="", help="the hint given with each page")
    arguments = parser.parse_args()
    read = over_http(arguments.url, arguments.language) if arguments.url else InProcess(arguments.language).read
    for page in found(arguments.pages or [PAGES]):
        start = time.perf_counter()
        blocks = read(page)
        seconds = time.perf_counter() - start
        sys.stdout.write(f"{page.name:20} {measured(page, blocks)}  {seconds:5.1f} s\n")
    return 0


def found(places: Iterable[Path]) -> list[Path]:
    """The pages named, and those in folders that have their truth beside them."""
    pages: list[Path] = []
    for place in places:
        truths = sorted(place.glob("*.json")) if place.is_dir() else []
        pages += [file for truth in truths for file in sorted(place.glob(f"{truth.stem}.*")) if file != truth]
        if not place.is_dir():
            pages.append(place)
    return pages


if __name__ == "__main__":
    sys.exit(main())
