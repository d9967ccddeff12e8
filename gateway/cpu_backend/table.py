"""Tables in OTSL.

`<fcel>` is a cell with text, `<ecel>` an empty one; `<lcel>`, `<ucel>` and `<xcel>` belong to the cell on the left,
above or both; `<nl>` ends a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gateway.cpu_backend.lines import Line, rows
from gateway.cpu_backend.ruling import Table
from gateway.document import BBox, Pixels

_FAINT = 50
"""Grey levels that ink is at least darker than the paper."""


@dataclass(frozen=True, slots=True)
class Written:
    """A cell and what is written in it."""

    text: str
    rows: tuple[int, int]
    columns: tuple[int, int]


def beside(table: Table, lines: Sequence[Line]) -> tuple[list[Line], list[Line], list[Line]]:
    """The lines above a table, in it, and below or beside it, where they stand on the picture it was found on."""
    above: list[Line] = []
    inside: list[Line] = []
    below: list[Line] = []
    height, width = table.picture.shape[:2]
    for line in lines:
        x0, y0, x1, y1 = line.moved(table.transform).bounds
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        (above if y < 0 else inside if y <= height and 0 <= x <= width else below).append(line)
    return above, inside, below


def stacked(above: Sequence[str], cells: Sequence[Written], below: Sequence[str]) -> list[Written]:
    """The cells of a table with texts above and below it, each in a row of one cell."""
    height, width = max(cell.rows[1] for cell in cells), max(cell.columns[1] for cell in cells)
    first, last = len(above), len(above) + height
    return [
        *(Written(text, (index, index + 1), (0, width)) for index, text in enumerate(above)),
        *(replace(cell, rows=(cell.rows[0] + first, cell.rows[1] + first)) for cell in cells),
        *(Written(text, (last + index, last + index + 1), (0, width)) for index, text in enumerate(below)),
    ]


def lines_by_cell(table: Table, lines: Sequence[Line], text_height: float) -> list[list[Line]]:
    """For each cell its lines in reading order, cut off at its edges; ink in a cell without any is one line."""
    found = []
    inset = round(0.06 * text_height) + 1
    for cell in table.cells:
        left, top, right, bottom = cell.bbox
        bounds = left + inset, top + inset, right - inset, bottom - inset
        inside = [part for line in lines if (part := _within(line, bounds)) is not None]
        inside = [line for row in rows(inside) for line in row] or _ink(table.picture, bounds, text_height)
        found.append(inside)
    return found


def otsl(cells: Sequence[Written]) -> str:
    """The table; places that no cell takes are empty cells."""
    height, width = max(cell.rows[1] for cell in cells), max(cell.columns[1] for cell in cells)
    grid = [["<ecel>"] * width for _ in range(height)]
    for cell in cells:
        (top, bottom), (left, right) = cell.rows, cell.columns
        for row in range(top, bottom):
            for column in range(left, right):
                grid[row][column] = {(True, False): "<ucel>", (False, True): "<lcel>"}.get(
                    (row > top, column > left), "<xcel>"
                )
        grid[top][left] = f"<fcel>{cell.text}" if cell.text else "<ecel>"
    return "".join("".join(row) + "<nl>" for row in grid)


def by_gaps(found: Sequence[Sequence[tuple[Line, str]]]) -> str:
    """A table without rules, from rows of lines and their texts: columns are where hardly a row has text.

    Falls back to a line of text for each row where there are no columns.
    """
    starts = _columns([line for row in found for line, _ in row], len(found))
    if len(starts) < 2 or len(found) < 2:
        return "\n".join(" ".join(text for _, text in row) for row in found)
    cells = []
    for index, row in enumerate(found):
        texts: dict[int, list[str]] = {}
        for line, text in row:
            texts.setdefault(sum(start <= line.bounds[0] for start in starts[1:]), []).append(text)
        cells += [
            Written(" ".join(texts.get(column, [])), (index, index + 1), (column, column + 1))
            for column in range(len(starts))
        ]
    return otsl(cells)


def _columns(lines: Sequence[Line], amount: int) -> list[float]:
    """Where columns begin: behind a gap as wide as half a line is high that at most a tenth of the rows crosses."""
    if not lines:
        return []
    end = int(max(line.bounds[2] for line in lines)) + 1
    covered = np.zeros(end + 1, int)
    for line in lines:
        covered[max(int(line.bounds[0]), 0) : int(line.bounds[2])] += 1
    filled = covered > 0.1 * amount
    gap = 0.5 * float(np.median([line.height for line in lines]))
    starts, empty = [], end
    for x in range(end):
        if filled[x]:
            if empty >= gap:
                starts.append(float(x))
            empty = 0
        else:
            empty += 1
    return starts


def _within(line: Line, bounds: BBox) -> Line | None:
    """The part of a line inside a cell's `bounds`: all of it, a piece cut at the edges, or None for hardly any."""
    x0, y0, x1, y1 = line.bounds
    left, top, right, bottom = bounds
    width, height = min(x1, right) - max(x0, left), min(y1, bottom) - max(y0, top)
    if width < 0.3 * min(line.width, line.height) or height < 0.5 * line.height:
        return None
    if width >= x1 - x0 and height >= y1 - y0:
        return line
    return Line.box(max(x0, left), max(y0, top), min(x1, right), min(y1, bottom))


def _ink(picture: Pixels, bounds: BBox, text_height: float) -> list[Line]:
    """What ink there is in a cell's `bounds` as one line, at least as high as the others; [] if there is hardly any."""
    left, top, right, bottom = bounds
    grey = picture[top:bottom, left:right].mean(axis=2)
    if grey.size == 0:
        return []
    dark = grey < np.median(grey) - _FAINT
    ys, xs = np.flatnonzero(dark.sum(axis=1) > 1), np.flatnonzero(dark.any(axis=0))
    if not len(ys) or dark.sum() < 0.02 * text_height**2:
        return []
    margin = 0.25 * text_height
    middle, half = float(top + (ys[0] + ys[-1]) / 2), max((ys[-1] - ys[0]) / 2 + margin, text_height / 2)
    x0, x1 = max(left + float(xs[0]) - margin, left), min(left + float(xs[-1]) + margin, right)
    return [Line.box(x0, max(middle - half, top), x1, min(middle + half, bottom))]
