"""What a block of text is: by the layout model where it knows, else by size and place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.layout.parts import Block, Hint, area, shared

TITLE = "title"
CAPTIONS = frozenset({"figure_caption", "table_caption"})

_TITLE_ROWS = 3
_TITLE_SIZE = 1.5
"""Times the size of the page's body text."""

_EDGE = 0.12
"""Of the page's height, at its bottom; at its top half of it."""

_NUMBER_WIDTH = 8.0
_LONE = 3.0
"""Times the height of a line: the gap that sets furniture apart from the text."""


@dataclass(frozen=True, slots=True)
class Page:
    """The level page: its height and the size of its body text, in pixels."""

    height: float
    body: float


def label(block: Block, before: Sequence[Block], after: Sequence[Block], hints: Sequence[Hint], page: Page) -> str:
    """The block's label in PP-DocLayout's words; `before` and `after` are the page's other blocks in reading order."""
    if not block.is_text:
        return block.parts[0].kind
    furniture = _furniture(block, before, after, hints, page)
    if furniture is not None:
        return furniture
    said = _said(block, hints)
    if len(block.rows) <= _TITLE_ROWS and all(len(row) == 1 for row in block.rows):
        if block.size >= _TITLE_SIZE * page.body or (said is not None and said.label == TITLE):
            return "paragraph_title"
        if said is not None and said.label in CAPTIONS and any(not near.is_text for near in (*before[-1:], *after[:1])):
            return "figure_title"
    return "text"


def _furniture(
    block: Block, before: Sequence[Block], after: Sequence[Block], hints: Sequence[Hint], page: Page
) -> str | None:
    """`header`, `footer` or `number` for a row that stands alone at the page's edge."""
    if len(block.rows) > 1 or block.size > _TITLE_SIZE * page.body:
        return None
    x0, y0, x1, y1 = block.box
    short = x1 - x0 <= _NUMBER_WIDTH * block.line_height
    others = [other.box for other in (*before, *after)]
    if y1 < _EDGE / 2 * page.height and _lone([box[1] - y1 for box in others], block):
        headed = _said(block, [hint for hint in hints if hint.label == "header"])
        return "number" if x1 - x0 <= 3 * block.line_height else "header" if headed is not None else None
    if y0 > (1 - _EDGE) * page.height and _lone([y0 - box[3] for box in others], block):
        footed = _said(block, [hint for hint in hints if hint.label == "footer"])
        return "number" if short else "footer" if footed is not None else None
    return None


def _lone(gaps: Sequence[float], block: Block) -> bool:
    return bool(gaps) and min(gaps) > _LONE * block.line_height


def _said(block: Block, hints: Sequence[Hint]) -> Hint | None:
    """The surest hint among those that cover most of the block and not much else."""
    box = block.box
    fitting = [h for h in hints if shared(h.box, box) > 0.5 * area(box) and area(h.box) < 4 * area(box)]
    return max(fitting, key=lambda hint: hint.score, default=None)
