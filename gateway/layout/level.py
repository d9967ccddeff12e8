"""The page turned level, on which rows, columns and tables are told apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.document import BBox, Pixels, Polygon
from gateway.layout.parts import Box, Part
from gateway.layout.textlines import Quad, letter_height

_LEVEL = 0.005
"""Radians; on a page tilted by less, boxes are cut out as they are."""

_MARGIN = 2
"""Pixels around what was found."""


@dataclass(frozen=True, slots=True)
class Level:
    """A page turned level around its middle."""

    pixels: Pixels
    turn: NDArray[np.float64]
    """Shape (2, 3), from the page to the level page."""
    angle: float

    @classmethod
    def of(cls, page: Pixels, angle: float) -> Level:
        import cv2

        height, width = page.shape[:2]
        if abs(angle) < _LEVEL:
            return cls(page, np.eye(2, 3), 0.0)
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), math.degrees(angle), 1.0)
        turned = cv2.warpAffine(page, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
        return cls(np.asarray(turned, np.uint8), np.asarray(turn, np.float64), angle)

    def part(self, quad: Quad) -> Part:
        corners = quad @ self.turn[:, :2].T + self.turn[:, 2]
        (x, y), edges = corners.mean(axis=0), np.roll(corners, -1, axis=0) - corners
        sides = np.hypot(edges[:, 0], edges[:, 1])
        width, height = max(sides[0], sides[2]), max(sides[1], sides[3])
        (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        return Part("line", box, (float(x0), float(y0), float(x1), float(y1)), letter_height(self.pixels, box))

    def outline(self, box: Box) -> tuple[BBox, Polygon | None]:
        """A box of the level page on the page, clipped to it; the polygon is None on a level page."""
        height, width = self.pixels.shape[:2]
        x0, y0, x1, y1 = box[0] - _MARGIN, box[1] - _MARGIN, box[2] + _MARGIN, box[3] + _MARGIN
        corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) - self.turn[:, 2]
        points = np.clip(corners @ self.turn[:, :2], 0, (width, height))
        left, top = (int(v) for v in np.floor(points.min(axis=0)))
        right, bottom = (int(v) for v in np.ceil(points.max(axis=0)))
        polygon = tuple((round(x), round(y)) for x, y in points.tolist()) if self.angle else None
        return (left, top, max(right, left + 1), max(bottom, top + 1)), polygon
