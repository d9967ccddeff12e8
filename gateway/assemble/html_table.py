"""Tables as they stand in a block, read back from their HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

_ROW = re.compile(r"<tr\b.*?</tr\s*>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HtmlCell:
    """A cell, with the text that a reader would see, and the paths of its `pictures`."""

    text: str
    rows: int = 1
    columns: int = 1
    pictures: tuple[str, ...] = ()


def rows(table: str) -> list[list[HtmlCell]]:
    """The cells that begin in each row of a table; text outside cells is not part of one."""
    reader = _Reader()
    reader.feed(table)
    reader.close()
    return [[HtmlCell("".join(cell.pieces), *cell.spans, tuple(cell.pictures)) for cell in row] for row in reader.rows]


def row_sources(table: str) -> list[str]:
    """The HTML of each row, `<tr>` to `</tr>`."""
    return _ROW.findall(table)


def append_rows(table: str, sources: list[str]) -> str:
    """The table with more rows after its last one."""
    last = list(_ROW.finditer(table))[-1].end()
    return table[:last] + "".join(sources) + table[last:]


@dataclass(slots=True)
class _Cell:
    spans: tuple[int, int]
    pieces: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[_Cell]] = []
        self._cell: _Cell | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
            self._cell = None
        elif tag in ("td", "th"):
            spans = dict(attrs)
            if not self.rows:
                self.rows.append([])
            self._cell = _Cell((_span(spans.get("rowspan")), _span(spans.get("colspan"))))
            self.rows[-1].append(self._cell)
        elif tag == "img" and self._cell is not None:
            self._cell.pictures.append(dict(attrs).get("src") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.pieces.append(data)


def _span(value: str | None) -> int:
    """A span as it is written, however large: who lays the table out has to bound it. No number is one place."""
    return int(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 10 else 1
