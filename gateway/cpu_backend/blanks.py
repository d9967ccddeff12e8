"""Blanks to fill in: rules that stand in a row of text like words, `Signature ______ Name`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from gateway.cpu_backend.lines import Line
from gateway.document import Pixels

_MARKS = r"(?:[\s'‘’‚`|.]|(?<!_)_{1,2}(?!_))*"
_DARKER = 30.0
"""Grey levels between a rule and the paper."""

_STRAY = re.compile(f"{_MARKS}(___+){_MARKS}")
"""A blank, with pieces of its ends that were read as marks."""

_SHORTEST = 1.8
_NEAR = 3.0
"""Times the height of a line: the shortest blank, and how far from a word a blank may be."""


def find_blanks(picture: Pixels, lines: Sequence[Line]) -> list[Line]:
    """The blanks beside a picture's lines, each as high as those."""
    import cv2

    if not lines:
        return []
    height = median(line.height for line in lines)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    ink = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, int(height) | 1, 12)
    strokes = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((1, max(int(height), 8)), np.uint8))
    _, _, islands, _ = cv2.connectedComponentsWithStats(cv2.dilate(strokes, np.ones((3, 5), np.uint8)))
    found = []
    for x, y, width, thick, _ in islands[1:].tolist():
        blank = Line.box(x, y - 0.75 * height, x + width, y + 0.25 * height)
        if width < _SHORTEST * height or thick > 0.3 * height or _written_on(ink, x, y, width, height):
            continue
        if _is_rule(grey, (x, y, x + width, y + thick), height) and any(_in_row(blank, line) for line in lines):
            found.append(blank)
    return found


def underscores(blank: Line, letter_width: float) -> str:
    """The blank as text, as wide as so many letters of the text around it."""
    return "_" * max(round(blank.width / letter_width), 3)


def mended(text: str) -> str:
    """A row of text without what the ends of a blank were taken for."""
    return _STRAY.sub(r" \1 ", text).strip()


def _written_on(ink: NDArray[np.uint8], x: int, y: int, width: int, height: float) -> bool:
    """Whether there is text close above a rule, which then underlines it."""
    above = ink[max(int(y - 0.4 * height), 0) : max(y - 3, 0), x + width // 10 : x + width - width // 10]
    return bool(above.size) and float((above > 0).mean()) > 0.03


def _is_rule(grey: NDArray[np.uint8], box: tuple[int, int, int, int], height: float) -> bool:
    """Whether a stroke is darker than the paper on both sides; the edge of a crop's white mask is not."""
    x0, y0, x1, y1 = box
    off = round(0.15 * height) + 1
    sides = grey[max(y0 - off - 2, 0) : max(y0 - off, 1), x0:x1], grey[y1 + off : y1 + off + 2, x0:x1]
    stroke = float(np.percentile(grey[y0:y1, x0:x1].min(axis=0), 50))
    return all(float(np.median(side)) - stroke > _DARKER for side in sides if side.size)


def _in_row(blank: Line, line: Line) -> bool:
    """Whether a line that does not itself reach over the blank stands at its height and near it."""
    ours, theirs = blank.bounds, line.bounds
    overlap = min(ours[2], theirs[2]) - max(ours[0], theirs[0])
    level = min(ours[3], theirs[3]) - max(ours[1], theirs[1])
    return -_NEAR * blank.height < overlap < 0.4 * blank.width and level > 0.5 * min(blank.height, line.height)
