"""Lines of text on a picture: where they are, how they look upright, and which stand beside each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

import numpy as np
from numpy.typing import NDArray

from gateway.document import Pixels

Quad = NDArray[np.float32]
"""Corners of a line, shape (4, 2): top left, top right, bottom right, bottom left, in pixels of the picture."""

Transform = NDArray[np.float64]
"""Shape (3, 3), from pixels of one picture to those of another, in homogeneous coordinates."""

_VERTICAL = 1.5
"""A line this many times as high as wide runs from top to bottom."""

_OFFS = (0.0, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5, 2.0, -2.0)
"""Degrees that the tilt of a few lines may be off."""


@dataclass(frozen=True, eq=False)
class Line:
    """One line of text, found but not read."""

    quad: Quad

    @classmethod
    def box(cls, x0: float, y0: float, x1: float, y1: float) -> Line:
        """An upright line."""
        return cls(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32))

    @cached_property
    def width(self) -> float:
        """Length along the text, in pixels."""
        top, bottom = self.quad[1] - self.quad[0], self.quad[2] - self.quad[3]
        return float(max(np.hypot(*top), np.hypot(*bottom), 1.0))

    @cached_property
    def height(self) -> float:
        """Length across the text, in pixels."""
        left, right = self.quad[3] - self.quad[0], self.quad[2] - self.quad[1]
        return float(max(np.hypot(*left), np.hypot(*right), 1.0))

    @cached_property
    def angle(self) -> float:
        """Radians clockwise that the text goes down to its right."""
        along = (self.quad[1] - self.quad[0]) + (self.quad[2] - self.quad[3])
        return math.atan2(along[1], along[0])

    @property
    def vertical(self) -> bool:
        return self.height >= _VERTICAL * self.width

    def moved(self, transform: Transform) -> Line:
        """The line where the transform of its picture puts it."""
        points = np.column_stack([self.quad, np.ones(4)]) @ transform.T
        return Line((points[:, :2] / points[:, 2:]).astype(np.float32))

    def picture(self, page: Pixels) -> Pixels:
        """The line upright, cut out of the picture; a vertical line lies on its left side."""
        import cv2

        width, height = max(round(self.width), 2), max(round(self.height), 2)
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        transform = cv2.getPerspectiveTransform(self.quad, corners)
        cut = cv2.warpPerspective(
            page, transform, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return np.rot90(cut) if self.vertical else np.asarray(cut, np.uint8)

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """`(x0, y0, x1, y1)` around the line: its middle, width and height, as if it ran level."""
        x, y = (float(v) for v in self.quad.mean(axis=0))
        return x - self.width / 2, y - self.height / 2, x + self.width / 2, y + self.height / 2


def tilt(lines: Sequence[Line]) -> float:
    """Radians clockwise that a picture's lines go down to their right: the median, longer lines weighing more."""
    angles = sorted((line.angle, line.width**2) for line in lines if line.width > 1.5 * line.height)
    half, before = sum(weight for _, weight in angles) / 2, 0.0
    for angle, weight in angles:
        before += weight
        if before >= half:
            return angle
    return 0.0


def turning(angle: float, middle: tuple[float, float]) -> Transform:
    """Turns a picture clockwise by `angle` radians around a point."""
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = middle
    return np.array([[cos, -sin, x - x * cos + y * sin], [sin, cos, y - x * sin - y * cos], [0, 0, 1]])


def rows(lines: Sequence[Line]) -> list[list[Line]]:
    """The lines from top to bottom, those beside each other in one row from left to right.

    How far a few short lines are tilted is hard to tell, so of the tilts near the likeliest one it is that which makes
    the fewest rows.
    """
    likeliest = tilt(lines)
    return min((_rows(lines, likeliest + math.radians(off)) for off in _OFFS), key=len, default=[])


def _rows(lines: Sequence[Line], angle: float) -> list[list[Line]]:
    turn = turning(-angle, (0, 0))
    level = {line: line.moved(turn) for line in lines}
    found: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: _middle(level[line])):
        if found and _belongs(level[line], [level[other] for other in found[-1]]):
            found[-1].append(line)
        else:
            found.append([line])
    return [sorted(row, key=lambda line: level[line].bounds[0]) for row in found]


def without_slivers(lines: Sequence[Line], height: int) -> list[Line]:
    """The lines less those that a picture `height` pixels high shows only the edge of."""
    if len(lines) < 2:
        return list(lines)
    usual = median(line.height for line in lines)
    return [line for line in lines if line.height > 0.55 * usual or not _at_edge(line, height)]


def _at_edge(line: Line, height: int) -> bool:
    ys = line.quad[:, 1]
    return bool(ys.min() <= 2 or ys.max() >= height - 3)


def _middle(line: Line) -> float:
    return (line.bounds[1] + line.bounds[3]) / 2


def _belongs(line: Line, row: Sequence[Line]) -> bool:
    """Whether a level line stands beside those of a row: at the height of one, before or behind each."""
    return all(_apart(line, other) for other in row) and any(_abreast(line, other) for other in row)


def _apart(line: Line, other: Line) -> bool:
    slack = min(line.height, other.height) / 2
    return line.bounds[0] >= other.bounds[2] - slack or other.bounds[0] >= line.bounds[2] - slack


def _abreast(line: Line, other: Line) -> bool:
    shared = min(line.bounds[3], other.bounds[3]) - max(line.bounds[1], other.bounds[1])
    return shared > 0.6 * min(line.height, other.height)
