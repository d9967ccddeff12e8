"""Paragraphs that a column or a picture broke into several regions (PaddleX 3.7.2, `merge_blocks`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gateway.document import Align, BBox, Region

_EDGE = 5
"""Pixels; edges that differ by no more stand under each other."""

_TALLEST = 3
"""A joined crop this many times as tall as wide is read in its parts: the model reads such strips badly."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Regions by index, in reading order, and how each after the first lies under those before it."""

    members: tuple[int, ...]
    aligns: tuple[Align, ...] = ()


def paragraphs(regions: Sequence[Region], apart: Collection[str]) -> tuple[Paragraph, ...]:
    """Every region in exactly one paragraph, in the order of the document.

    Regions labelled `apart` stay by themselves; those that lie between the parts of a broken paragraph come after it.
    Two neighbouring `text` regions belong together when the second starts the next column, close beside the first, or
    when it goes on below a picture or table that pushed one of its edges in.
    """
    groups = _groups(regions, apart)
    ends = [*(group.members[0] for group in groups[1:]), len(regions)]
    ordered = [Paragraph((index,)) for index in range(groups[0].members[0] if groups else len(regions))]
    for group, end in zip(groups, ends, strict=True) if groups else ():
        ordered += _split(group) if _too_tall(regions, group) else [group]
        ordered += [Paragraph((index,)) for index in range(group.members[0], end) if index not in group.members]
    return tuple(ordered)


def _groups(regions: Sequence[Region], apart: Collection[str]) -> list[Paragraph]:
    groups: list[Paragraph] = []
    obstacles = [region.bbox for region in regions if region.label in apart]
    last: Region | None = None
    for index, region in enumerate(regions):
        if region.label in apart:
            continue
        align = _continues(last, region, obstacles) if last is not None else None
        if align is None:
            groups.append(Paragraph((index,)))
        else:
            groups[-1] = Paragraph((*groups[-1].members, index), (*groups[-1].aligns, align))
        last = region
    return groups


def _continues(last: Region, region: Region, obstacles: Sequence[BBox]) -> Align | None:
    if last.label != "text" or region.label != "text":
        return None
    if _in_next_column(last.bbox, region.bbox):
        return "center"
    left = abs(region.bbox[0] - last.bbox[0]) <= _EDGE
    right = abs(region.bbox[2] - last.bbox[2]) <= _EDGE
    if left != right and _goes_on_below(last.bbox, region.bbox) and _around(last.bbox, region.bbox, obstacles):
        return "left" if left else "right"
    return None


def _in_next_column(last: BBox, box: BBox) -> bool:
    widest = max(last[2] - last[0], box[2] - box[0])
    return 0 < box[0] - last[2] < 0.3 * widest and box[1] < last[3]


def _goes_on_below(last: BBox, box: BBox) -> bool:
    in_one_column = min(last[2], box[2]) > max(last[0], box[0])
    tallest = max(last[3] - last[1], box[3] - box[1])
    return in_one_column and box[3] >= last[1] and abs(box[1] - last[3]) < 0.5 * tallest


def _around(last: BBox, box: BBox, obstacles: Sequence[BBox]) -> bool:
    x0, y0, x1, y1 = min(last[0], box[0]), min(last[1], box[1]), max(last[2], box[2]), max(last[3], box[3])
    return any(o[0] < x1 and o[2] > x0 and o[1] < y1 and o[3] > y0 for o in obstacles)


def _too_tall(regions: Sequence[Region], group: Paragraph) -> bool:
    boxes = [regions[index].bbox for index in group.members]
    return sum(box[3] - box[1] for box in boxes) >= _TALLEST * max(box[2] - box[0] for box in boxes)


def _split(group: Paragraph) -> list[Paragraph]:
    return [Paragraph((index,)) for index in group.members]
