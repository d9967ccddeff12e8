"""The flat view of a page: plain text, place and confidence, a line for each block with content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.assemble.html_table import rows
from gateway.document import BBox, Block, Spot


@dataclass(frozen=True, slots=True)
class FlatResult:
    """A piece of plain text; `confidence` is the layout score, `page` counts from 1."""

    text: str
    bbox: BBox
    confidence: float
    page: int


def flat_results(blocks: Sequence[Block], page: int) -> tuple[FlatResult, ...]:
    """The blocks of a page in their order; a page that was read for spotting gives its lines one by one."""
    return tuple(_results(blocks, page))


def _results(blocks: Sequence[Block], page: int) -> Iterator[FlatResult]:
    for block in blocks:
        if block.spots:
            yield from (FlatResult(spot.text, _around(spot), block.score, page) for spot in block.spots)
        elif (text := plain_text(block)).strip():
            yield FlatResult(text, block.bbox, block.score, page)


def plain_text(block: Block) -> str:
    """A block's text without HTML, and without the `$$` around a formula; a table's cells set apart by tabs."""
    if block.label == "table" and "<table" in block.content:
        return "\n".join("\t".join(" ".join(cell.text.split()) for cell in row) for row in rows(block.content))
    if "formula" in block.label:
        return block.content.strip().strip("$").strip()
    return block.content.strip()


def _around(spot: Spot) -> BBox:
    xs, ys = zip(*spot.points, strict=True)
    return round(min(xs)), round(min(ys)), round(max(xs)), round(max(ys))
