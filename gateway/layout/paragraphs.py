"""Lines of one column to rows, rows to blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from gateway.layout.parts import Block, Part, Row

_NEXT_PARAGRAPH = 1.3
"""Times the usual distance of rows."""

_OTHER_SIZE = 1.45
"""Times the height of letters; a row of capitals or digits is still of the same size."""

_LOOSEST = 2.0
"""Times the height of a line: rows farther apart are never of one paragraph."""


def blocks(stretch: Sequence[Part], apart: Callable[[Row, Row], bool]) -> list[Block]:
    """The blocks of one column, from top to bottom; `apart` knows more reasons to separate two rows."""
    rows = _rows(stretch)
    usual = _usual_distance(rows)
    found: list[list[Row]] = []
    for row in rows:
        if found and not _separate(found[-1][-1], row, usual) and not apart(found[-1][-1], row):
            found[-1].append(row)
        else:
            found.append([row])
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


def _separate(row: Row, following: Row, usual: float) -> bool:
    if row[0].kind != "line" or following[0].kind != "line":
        return True
    one, other = _size(row), _size(following)
    if max(one, other) > _OTHER_SIZE * min(one, other):
        return True
    return _distance(row, following) > min(_NEXT_PARAGRAPH * usual, _LOOSEST * max(_height(row), _height(following)))


def _usual_distance(rows: Sequence[Row]) -> float:
    """The distance of neighbouring rows inside paragraphs; a bit over a line's height if there are none to measure.

    The lower quartile, as headings and lists have many wider gaps and few narrower ones.
    """
    texts = [row for row in rows if row[0].kind == "line"]
    if not texts:
        return 0.0
    height = median(map(_height, texts))
    distances = sorted(_distance(row, below) for row, below in zip(texts, texts[1:], strict=False))
    close = [distance for distance in distances if distance < _LOOSEST * height]
    return close[len(close) // 4] if len(close) > 1 else 1.15 * height


def _distance(row: Row, following: Row) -> float:
    return median(map(_middle, following)) - median(map(_middle, row))


def _height(row: Row) -> float:
    return median(part.height for part in row)


def _size(row: Row) -> float:
    return median(part.size for part in row)


def _middle(part: Part) -> float:
    return (part.box[1] + part.box[3]) / 2
