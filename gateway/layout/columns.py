"""Reading order: columns one after the other, what spans them at its place between.

Bands are what gaps over the whole width separate. Neighbouring bands in which one gutter runs down are one set of
columns; a plain cut into bands would read two headings over two columns before either column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from gateway.layout.parts import Part

_LEAST_LINES = 2
"""On either side of a gutter; less are the two ends of a row."""

_APART = 0.8
"""Heights of a line to what follows, from which on it is not the first of a paragraph."""

_LEAST_WIDTH = 6.0
"""Times the height of a line: narrower ones are the prices of a receipt, not a column of text."""


def stretches(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """The page in reading order, in stretches of one column each."""
    bands = _bands(parts)
    widest = 0.7 * (max(part.box[2] for part in parts) - min(part.box[0] for part in parts)) if parts else 0.0
    single: list[Part] = []
    index = 0
    while index < len(bands):
        end = _columns_end(bands, index, widest)
        if end is None:
            single += bands[index]
            index += 1
            continue
        if single:
            yield single
            single = []
        for side in _sides([part for band in bands[index:end] for part in band]) or ():
            yield from stretches(side)
        index = end
    if single:
        yield single


def _columns_end(bands: Sequence[Sequence[Part]], start: int, widest: float) -> int | None:
    """Where the columns that begin with a band end, or None if it begins none; no part of them is wider than `widest`.

    They do not begin with a line apart over the right one, which would be read after the left one.
    """
    end, together = None, list[Part]()
    apart = _one_line(bands[start]) and start + 1 < len(bands) and _gap(bands[start], bands[start + 1]) > _APART
    for index in range(start, len(bands)):
        if any(part.width > widest for part in bands[index]):
            break
        together += bands[index]
        sides = _sides(together)
        if sides is not None and not (apart and bands[start][0] in sides[1]):
            end = index + 1
    return None if end is None else _without_tail(bands, start, end)


def _without_tail(bands: Sequence[Sequence[Part]], start: int, end: int) -> int | None:
    """Less a last line on one side that stands nearer to what follows: the heading or caption of that."""
    while end < len(bands) and end - start > 1 and _one_line(bands[end - 1]):
        above = max(part.box[3] for band in bands[start : end - 1] for part in band)
        below = min(part.box[1] for part in bands[end])
        last = bands[end - 1]
        if below - max(part.box[3] for part in last) >= min(part.box[1] for part in last) - above:
            break
        end -= 1
    together = [part for band in bands[start:end] for part in band]
    return end if _sides(together) is not None else None


def _one_line(band: Sequence[Part]) -> bool:
    return len(band) == 1 and band[0].kind == "line"


def _gap(line: Sequence[Part], below: Sequence[Part]) -> float:
    """How far below a line the next band begins, in heights of the line."""
    return (min(part.box[1] for part in below) - line[0].box[3]) / line[0].height


def _sides(parts: Sequence[Part]) -> tuple[list[Part], list[Part]] | None:
    """The parts left and right of the widest gutter between two columns, None without one."""
    gutter = _gutter(parts)
    if gutter is None:
        return None
    left = [part for part in parts if part.box[0] < gutter]
    right = [part for part in parts if part.box[0] >= gutter]
    return left, right


def _gutter(parts: Sequence[Part]) -> float | None:
    best, widest = None, 0.0
    islands = _islands(parts)
    for (_, end), (start, _) in pairwise(islands):
        left = [part for part in parts if part.box[0] < start]
        right = [part for part in parts if part.box[0] >= start]
        if start - end > widest and _is_column(left) and _is_column(right) and _overlap(left, right):
            best, widest = start, start - end
    return best


def _islands(parts: Sequence[Part]) -> list[tuple[float, float]]:
    """The stretches of the width that have parts in them, separated by more than half a line's height."""
    slack = 0.5 * median(part.height for part in parts if part.kind == "line") if _has_lines(parts) else 10.0
    found: list[tuple[float, float]] = []
    for x0, x1 in sorted((part.box[0], part.box[2]) for part in parts):
        if found and x0 - found[-1][1] <= slack:
            found[-1] = found[-1][0], max(found[-1][1], x1)
        else:
            found.append((x0, x1))
    return found


def _has_lines(parts: Sequence[Part]) -> bool:
    return any(part.kind == "line" for part in parts)


def _is_column(parts: Sequence[Part]) -> bool:
    lines = [part for part in parts if part.kind == "line"]
    if len(lines) < len(parts):
        return True
    return len(lines) >= _LEAST_LINES and median(line.width / line.height for line in lines) >= _LEAST_WIDTH


def _overlap(left: Sequence[Part], right: Sequence[Part]) -> bool:
    """Whether columns stand beside each other for a good part of the shorter one."""
    tops, bottoms = [], []
    for side in (left, right):
        tops.append(min(part.box[1] for part in side))
        bottoms.append(max(part.box[3] for part in side))
    shorter = min(bottom - top for top, bottom in zip(tops, bottoms, strict=True))
    return min(bottoms) - max(tops) > 0.3 * shorter


def _bands(parts: Sequence[Part]) -> list[list[Part]]:
    found: list[list[Part]] = []
    bottom = float("-inf")
    for part in sorted(parts, key=lambda part: part.box[1]):
        slack = 0.3 * part.height if part.kind == "line" else 0.0
        if part.box[1] + slack >= bottom:
            found.append([part])
        else:
            found[-1].append(part)
        bottom = max(bottom, part.box[3])
    return found
