"""Outlines of regions, as masks of pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from gateway.document import BBox, Polygon

_FINEST = 512
"""Cells along the longer side when outlines are compared: areas are right to about half a percent."""


def inside(polygon: Sequence[tuple[float, float]], bbox: BBox) -> NDArray[np.bool_]:
    """True where a pixel of `bbox` lies in the outline or on it; shape (height, width) of the box."""
    x0, y0, x1, y1 = bbox
    canvas = Image.new("1", (x1 - x0, y1 - y0))
    ImageDraw.Draw(canvas).polygon([(x - x0, y - y0) for x, y in polygon], fill=1, outline=1)
    return np.asarray(canvas, dtype=np.bool_)


def shared_share(one: Polygon, other: Polygon) -> float:
    """The area two outlines share, as a part of the smaller one's."""
    xs, ys = zip(*one, *other, strict=True)
    scale = _FINEST / max(max(xs) - min(xs), max(ys) - min(ys), 1)
    size = (0, 0, int((max(xs) - min(xs)) * scale) + 1, int((max(ys) - min(ys)) * scale) + 1)
    masks = [
        inside([((x - min(xs)) * scale, (y - min(ys)) * scale) for x, y in polygon], size) for polygon in (one, other)
    ]
    smaller = min(int(mask.sum()) for mask in masks)
    return int((masks[0] & masks[1]).sum()) / smaller if smaller else 0.0
