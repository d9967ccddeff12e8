"""Which of two overlapping regions stays (PaddleX 3.7.2, `filter_overlap_boxes`)."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.document import BBox, Polygon, Region
from gateway.regions.polygons import shared_share

MIN_SIDE = 6
"""Pixels; a thinner region holds no text."""

_FORMULA_SHARE = 0.5
_SHARE = 0.7
_PICTURE_KINDS = frozenset({"image", "table", "seal", "chart"})


def without_overlaps(regions: Sequence[Region]) -> tuple[Region, ...]:
    """The regions worth reading, in their order.

    Gone are `reference` regions (their `reference_content` parts stay), regions thinner than 6 px, inline formulas
    that more than half lie in another region, and of two regions sharing over 0.7 of the smaller one's area the
    smaller; but a picture stays beside text, a table beside a picture.
    """
    kept = [region for region in regions if region.label != "reference"]
    dropped: set[int] = set()
    for i, one in enumerate(kept):
        if min(_sides(one.bbox)) < MIN_SIDE:
            dropped.add(i)
        for j in range(i + 1, len(kept)):
            if i in dropped:
                break
            if j not in dropped:
                dropped.update(_losers(i, one, j, kept[j]))
    return tuple(region for index, region in enumerate(kept) if index not in dropped)


def _losers(i: int, one: Region, j: int, other: Region) -> tuple[int, ...]:
    share = _share_of_smaller(one.bbox, other.bbox)
    formulas = tuple(index for index, region in ((i, one), (j, other)) if region.label == "inline_formula")
    if formulas and share > _FORMULA_SHARE:
        return formulas
    if share <= _SHARE or _apart_in_outline(one.polygon, other.polygon) or _both_stay(one.label, other.label):
        return ()
    return (j,) if _area(one.bbox) >= _area(other.bbox) else (i,)


def _apart_in_outline(one: Polygon | None, other: Polygon | None) -> bool:
    return one is not None and other is not None and shared_share(one, other) < _SHARE


def _both_stay(one: str, other: str) -> bool:
    labels = {one, other}
    if len(labels) == 1 or not labels & _PICTURE_KINDS:
        return False
    return "table" not in labels or labels <= _PICTURE_KINDS


def _share_of_smaller(one: BBox, other: BBox) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min(_area(one), _area(other))
    return width * height / smaller if width > 0 and height > 0 and smaller else 0.0


def _sides(bbox: BBox) -> tuple[int, int]:
    return bbox[2] - bbox[0], bbox[3] - bbox[1]


def _area(bbox: BBox) -> int:
    width, height = _sides(bbox)
    return abs(width * height)
