"""Ruled tables, by their lines."""

from __future__ import annotations

from typing import Any

import numpy as np

from gateway.document import Pixels
from gateway.layout.parts import Box

_FEWEST_CELLS = 3

_FRAME = 0.6
"""Of the area of all cells: a frame around a page has one larger than that, a table has none."""

_FILLED = 0.6
"""Of a table's area, what at least are cells; the bars of a chart are less."""


def ruled_tables(level: Pixels, text_height: float) -> list[Box]:
    """The ruled tables of a page that is turned level; `text_height` is that of its lines, in pixels."""
    import cv2

    contours, tree = cv2.findContours(_rules(level, text_height), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if tree is None:
        return []
    found = []
    for contour, (_, _, first, parent) in zip(contours, tree[0], strict=True):
        x, y, width, height = cv2.boundingRect(contour)
        if parent >= 0 or height <= 1.5 * text_height:
            continue
        cells = _cells(contours, tree[0], first, text_height)
        if len(cells) >= _FEWEST_CELLS and max(cells) < _FRAME * sum(cells) and sum(cells) > _FILLED * width * height:
            found.append((float(x), float(y), float(x + width), float(y + height)))
    return found


def _rules(level: Pixels, text_height: float) -> Any:
    """The straight strokes longer than letters, level and upright ones."""
    import cv2

    grey = cv2.cvtColor(level, cv2.COLOR_RGB2GRAY)
    block = max(int(text_height), 7) | 1
    ink = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, block, 12)
    level_size, upright_size = max(int(1.6 * text_height), 12), max(int(1.1 * text_height), 12)
    rules = np.zeros_like(ink)
    for stroke, gap in ((np.ones((1, level_size)), np.ones((1, 3))), (np.ones((upright_size, 1)), np.ones((3, 1)))):
        bridged = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, gap)
        rules |= cv2.dilate(cv2.morphologyEx(bridged, cv2.MORPH_OPEN, stroke), np.ones((3, 3)))
    return rules


def _cells(contours: Any, tree: Any, first: int, text_height: float) -> list[int]:
    """The areas of the holes in a set of rules, a linked list in `tree` from `first`, that could hold text."""
    import cv2

    areas = []
    while first >= 0:
        _, _, width, height = cv2.boundingRect(contours[first])
        if min(width, height) >= 0.5 * text_height:
            areas.append(width * height)
        first = tree[first][0]
    return areas
