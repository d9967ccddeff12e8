"""Tables as the VLM writes them: OTSL tokens, to a grid of cells, to HTML.

`<fcel>` begins a cell with text, `<ecel>` is an empty one, `<lcel>` belongs to the cell on its left, `<ucel>` to the
one above, `<xcel>` to both, `<nl>` ends a row. Rows that do not fit are mended, never lost: text behind any token, or
before the first one, is a cell; a continuation of nothing is an empty cell; a span is cut where it is no rectangle.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median_low

_TOKEN = re.compile(r"<(fcel|ecel|lcel|ucel|xcel|nl)>")
_CONTINUES = frozenset({"lcel", "ucel", "xcel"})

_MOST_PADDED = 250_000
"""Cells; a grid that would be larger than this with every row filled up keeps its ragged rows."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell, at the top left of the rectangle that it spans."""

    text: str
    rows: int = 1
    columns: int = 1


Grid = tuple[tuple[Cell, ...], ...]
"""The cells that begin in each row, from left to right."""


@dataclass(slots=True)
class _Slot:
    token: str
    text: str = ""
    spanned: bool = False


def parse(answer: str) -> Grid:
    """The grid of an answer in OTSL; for an answer without any token, a row for each of its lines."""
    if not _TOKEN.search(answer):
        return tuple((Cell(line.strip()),) for line in answer.splitlines() if line.strip())
    filled = [row for row in _rows(answer) if row]
    rows = _squared(filled) if filled else []
    return tuple(tuple(_cells(rows, index)) for index in range(len(rows)))


def to_html(grid: Grid) -> str:
    """`<table>` with `rowspan` and `colspan`, all text escaped; "" for a grid without rows."""
    rows = ["<tr>" + "".join(map(_td, row)) + "</tr>" for row in grid]
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _td(cell: Cell) -> str:
    rowspan = f' rowspan="{cell.rows}"' if cell.rows > 1 else ""
    colspan = f' colspan="{cell.columns}"' if cell.columns > 1 else ""
    return f"<td{rowspan}{colspan}>{html.escape(cell.text)}</td>"


def _rows(answer: str) -> list[list[_Slot]]:
    before, *tokens_and_texts = _TOKEN.split(answer)
    rows = [[_Slot("fcel", before.strip())] if before.strip() else []]
    for token, text in zip(tokens_and_texts[::2], map(str.strip, tokens_and_texts[1::2]), strict=True):
        if token == "nl":
            rows.append([_Slot("fcel", text)] if text else [])
        else:
            rows[-1].append(_Slot("fcel" if text else token, text))
    return rows


def _squared(rows: list[list[_Slot]]) -> list[list[_Slot]]:
    """All rows of one width: the one that needs the fewest cells added or cut, no cell with text being cut.

    The number of changes is least at the median length, and only grows from there: the nearest width allowed is best.
    """
    needed = max((index + 1 for row in rows for index, slot in enumerate(row) if slot.token == "fcel"), default=0)
    width = max(median_low(map(len, rows)), needed)
    if len(rows) * width > _MOST_PADDED:
        return rows
    return [row[:width] + [_Slot("ecel") for _ in range(width - len(row))] for row in rows]


def _cells(rows: list[list[_Slot]], index: int) -> Iterator[Cell]:
    """The cells that begin in a row; the places they span are marked, so the rows have to be taken in order."""
    row = rows[index]
    for column, slot in enumerate(row):
        if slot.spanned:
            continue
        if slot.token in _CONTINUES:
            yield Cell("")
            continue
        right = column + 1
        while right < len(row) and row[right].token in ("lcel", "xcel") and not row[right].spanned:
            right += 1
        bottom = index + 1
        while bottom < len(rows) and _continue_down(rows[bottom][column:right], right - column):
            bottom += 1
        for spanned in rows[index:bottom]:
            for place in spanned[column:right]:
                place.spanned = True
        yield Cell(slot.text, bottom - index, right - column)


def _continue_down(places: list[_Slot], width: int) -> bool:
    return (
        len(places) == width
        and places[0].token in ("ucel", "xcel")
        and all(place.token in _CONTINUES for place in places)
    )
