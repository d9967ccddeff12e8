"""Lines of one column to rows, rows to blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median

from gateway.layout.parts import Block, Part, Row

_NEXT_PARAGRAPH = 1.3
"""Times the distance of the rows before or after: a list with even gaps is one block."""

_OTHER_SIZE = 1.45
"""Times the height of letters; a row of capitals or digits is still of the same size."""

_LOOSEST = 2.0
"""Times the height of a line: rows farther apart are never of one paragraph."""


def blocks(stretch: Sequence[Part], apart: Callable[[Row, Row], bool]) -> list[Block]:
    """The blocks of one column, from top to bottom; `apart` knows more reasons to separate two rows."""
    rows = _rows(stretch)
    if not rows:
        return []
    distances = [_distance(row, below) for row, below in pairwise(rows)]
    found: list[list[Row]] = [rows[:1]]
    for index, row in enumerate(rows[1:]):
        near = distances[max(index - 1, 0) : index] + distances[index + 1 : index + 2]
        above = found[-1][-1]
        if _separate(above, row, distances[index], near) or apart(above, row):
            found.append([row])
        else:
            found[-1].append(row)
    return [Block(tuple(tuple(row) for row in rows)) for rows in found]


def _rows(stretch: Sequence[Part]) -> list[Row]:
    found: list[Row] = []
    for part in sorted(stretch, key=_middle):
        if part.kind == "line" and found and _belongs(part, found[-1]):
            found[-1].append(part)
        else:
            found.append([part])
    return [sorted(row, key=lambda part: part.box[0]) for row in found]


def _belongs(line: Part, row: Row) -> bool:
    """Whether a line stands beside those of a row."""
    return row[0].kind == "line" and all(_apart(line, other) for other in row) and any(_abreast(line, o) for o in row)


def _apart(line: Part, other: Part) -> bool:
    slack = min(line.height, other.height) / 2
    return line.box[0] >= other.box[2] - slack or other.box[0] >= line.box[2] - slack


def _abreast(line: Part, other: Part) -> bool:
    shared = min(line.box[3], other.box[3]) - max(line.box[1], other.box[1])
    return shared > 0.5 * min(line.height, other.height)


def _separate(row: Row, following: Row, distance: float, near: Sequence[float]) -> bool:
    """Whether two rows are of different paragraphs; `near` are the distances of the rows before and after them."""
    if row[0].kind != "line" or following[0].kind != "line":
        return True
    one, other = _size(row), _size(following)
    if max(one, other) > _OTHER_SIZE * min(one, other):
        return True
    height = max(_height(row), _height(following))
    return distance > min(_NEXT_PARAGRAPH * max(min(near, default=height), 0.8 * height), _LOOSEST * height)


def _distance(row: Row, following: Row) -> float:
    return median(map(_middle, following)) - median(map(_middle, row))


def _height(row: Row) -> float:
    return median(part.height for part in row)


def _size(row: Row) -> float:
    return median(part.size for part in row)


def _middle(part: Part) -> float:
    return (part.box[1] + part.box[3]) / 2
