"""Outlines of regions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from gateway.document import BBox, Polygon


def inside(polygon: Polygon, bbox: BBox) -> NDArray[np.bool_]:
    """True where a pixel of `bbox` lies in the outline or on it; shape (height, width) of the box.

    Corners lose their fractions, as PaddleX's do.
    """
    x0, y0, x1, y1 = bbox
    canvas = Image.new("1", (x1 - x0, y1 - y0))
    ImageDraw.Draw(canvas).polygon([(int(x) - x0, int(y) - y0) for x, y in polygon], fill=1, outline=1)
    return np.asarray(canvas, dtype=np.bool_)


def shared_share(one: Polygon, other: Polygon) -> float:
    """The area that two outlines share, as a part of the smaller one's; 0 where one has no area."""
    areas = _area(one), _area(other)
    smaller = min(area.area for area in areas)
    return float(areas[0].intersection(areas[1]).area / smaller) if smaller else 0.0


def _area(polygon: Polygon) -> Any:
    import shapely  # 30 ms that a page without outlines does not need

    area = shapely.Polygon(polygon)
    return area if area.is_valid else area.buffer(0)
