"""The cells of a ruled table, by its lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.cpu_backend.lines import Transform
from gateway.document import BBox, Pixels

Mask = NDArray[np.uint8]

_FEWEST_CELLS = 2


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the table pulled straight: its inside, and the rows and columns it takes, from 0, ends exclusive."""

    bbox: BBox
    rows: tuple[int, int]
    columns: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Table:
    """A ruled table, pulled straight; `transform` takes points of the picture it was found on to `picture`."""

    picture: Pixels
    cells: tuple[Cell, ...]
    transform: Transform


def find_table(picture: Pixels, text_height: float) -> Table | None:
    """The largest ruled table on a picture that is turned level, or None; `text_height` is that of its lines."""
    import cv2

    contours, tree = cv2.findContours(_rules(picture, text_height), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outer = [contour for contour, links in zip(contours, tree[0] if contours else (), strict=True) if links[3] < 0]
    for contour in sorted(outer, key=_extent, reverse=True)[:3]:
        straight, transform = _straightened(picture, _corners(contour))
        boxes = _insides(straight, text_height)
        if len(boxes) >= _FEWEST_CELLS:
            return Table(straight, _placed(boxes, text_height), transform)
    return None


def _rules(picture: Pixels, text_height: float) -> Mask:
    """The straight strokes longer than letters, level and upright ones; a few pixels are bridged."""
    import cv2

    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    block = max(int(text_height), 7) | 1
    ink = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, block, 12)
    rules = np.zeros_like(ink)
    for across, down in ((int(1.6 * text_height), 1), (1, int(1.1 * text_height))):
        bridged = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((3 if down > 1 else 1, 3 if across > 1 else 1)))
        strokes = cv2.morphologyEx(bridged, cv2.MORPH_OPEN, np.ones((max(down, 1), max(across, 1)), np.uint8))
        rules |= cv2.dilate(strokes, np.ones((3, 3), np.uint8))
    return np.asarray(rules, np.uint8)


def _extent(contour: Any) -> float:
    import cv2

    _, _, width, height = cv2.boundingRect(contour)
    return float(width * height)


def _corners(contour: Any) -> NDArray[np.float32]:
    points = contour.reshape(-1, 2)
    total, difference = points.sum(axis=1), points[:, 0] - points[:, 1]
    chosen = [total.argmin(), difference.argmax(), total.argmax(), difference.argmin()]
    return np.asarray(points[chosen], np.float32)


def _straightened(picture: Pixels, corners: NDArray[np.float32]) -> tuple[Pixels, Transform]:
    """The table with its corners square, and a few pixels around it, so that its frame stays whole."""
    import cv2

    width = round(max(np.hypot(*(corners[1] - corners[0])), np.hypot(*(corners[2] - corners[3]))))
    height = round(max(np.hypot(*(corners[3] - corners[0])), np.hypot(*(corners[2] - corners[1]))))
    margin = 4
    square = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) + margin
    size = (width + 2 * margin, height + 2 * margin)
    transform = cv2.getPerspectiveTransform(corners, square)
    straight = cv2.warpPerspective(picture, transform, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(straight, np.uint8), np.asarray(transform, np.float64)


def _insides(straight: Pixels, text_height: float) -> list[BBox]:
    """The boxes that the rules enclose, less those too small for text."""
    import cv2

    contours, tree = cv2.findContours(_rules(straight, text_height), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    boxes = []
    for contour, links in zip(contours, tree[0] if contours else (), strict=True):
        x, y, width, height = cv2.boundingRect(contour)
        if links[3] >= 0 and min(width, height) >= 0.7 * text_height:
            boxes.append((x, y, x + width, y + height))
    return boxes


def _placed(boxes: Sequence[BBox], text_height: float) -> tuple[Cell, ...]:
    slack = 0.4 * text_height
    lefts, tops = _edges([box[0] for box in boxes], slack), _edges([box[1] for box in boxes], slack)
    return tuple(
        Cell(box, _taken(tops, box[1], box[3], slack), _taken(lefts, box[0], box[2], slack))
        for box in sorted(boxes, key=lambda box: (box[1], box[0]))
    )


def _edges(positions: Sequence[int], slack: float) -> list[float]:
    """Where rows or columns begin: positions closer than `slack` are one."""
    groups: list[list[int]] = []
    for position in sorted(positions):
        if groups and position - groups[-1][-1] <= slack:
            groups[-1].append(position)
        else:
            groups.append([position])
    return [sum(group) / len(group) for group in groups]


def _taken(edges: Sequence[float], start: float, end: float, slack: float) -> tuple[int, int]:
    first = min(range(len(edges)), key=lambda index: abs(edges[index] - start))
    last = sum(edge < end - slack for edge in edges)
    return first, max(last, first + 1)
