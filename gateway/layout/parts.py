"""What a page turned level is made of: lines of text, tables, pictures, and the blocks they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

Box = tuple[float, float, float, float]
"""`(x0, y0, x1, y1)` in pixels of the level page."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A line of text, or something that is not text and stays whole.

    `box` is the line as if it ran quite level, which tells rows apart; `hull` is all it covers. `size` is the height
    of its small letters, in pixels; capitals and digits are up to 1.4 times as high.
    """

    kind: Literal["line", "table", "image", "display_formula"]
    box: Box
    hull: Box
    size: float = 0.0
    score: float = 1.0

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]

    @property
    def width(self) -> float:
        return self.box[2] - self.box[0]


Row = list[Part]
"""Lines beside each other, from left to right; or one part that is no text."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rows that make a paragraph, or one part that is no text."""

    rows: tuple[tuple[Part, ...], ...]

    @property
    def parts(self) -> list[Part]:
        return [part for row in self.rows for part in row]

    @property
    def box(self) -> Box:
        return around([part.box for part in self.parts])

    @property
    def hull(self) -> Box:
        return around([part.hull for part in self.parts])

    @property
    def line_height(self) -> float:
        return median(part.height for part in self.parts)

    @property
    def size(self) -> float:
        return median(part.size for part in self.parts)

    @property
    def is_text(self) -> bool:
        return self.rows[0][0].kind == "line"


@dataclass(frozen=True, slots=True)
class Hint:
    """What the layout model says about a box of the level page, in its own ten labels."""

    label: str
    box: Box
    score: float


def around(boxes: Sequence[Box]) -> Box:
    """The smallest box around boxes."""
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def area(box: Box) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def shared(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    return area((max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])))
