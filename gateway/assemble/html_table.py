"""Tables as they stand in a block, read back from their HTML."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass(slots=True)
class HtmlCell:
    """A cell, with the text that a reader would see."""

    rows: int = 1
    columns: int = 1
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def rows(table: str) -> list[list[HtmlCell]]:
    """The cells that begin in each row of a table; text outside cells is not part of one."""
    reader = _Reader()
    reader.feed(table)
    reader.close()
    return reader.rows


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[HtmlCell]] = []
        self._cell: HtmlCell | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
            self._cell = None
        elif tag in ("td", "th"):
            spans = dict(attrs)
            self._cell = HtmlCell(_span(spans.get("rowspan")), _span(spans.get("colspan")))
            if not self.rows:
                self.rows.append([])
            self.rows[-1].append(self._cell)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.pieces.append(data)


def _span(value: str | None) -> int:
    return int(value) if value is not None and value.isascii() and value.isdigit() else 1
