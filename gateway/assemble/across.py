"""Tables that go on over a page break, joined to their first part (PaddleX 3.7.2, `merge_tables_across_pages`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.assemble.html_table import HtmlCell, append_rows, row_sources, rows
from gateway.document import Block

Pages = tuple[tuple[Block, ...], ...]

_AFTER = frozenset({"footer", "vision_footnote", "number", "footnote", "footer_image", "seal"})
_BEFORE = frozenset({"header", "header_image", "number", "seal"})

_WIDER = 0.1
"""Of the narrower one; tables that differ more in width are two."""

_MOST_HEADER_ROWS = 5
_MOST_COLUMNS = 10_000

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}


def join_tables(pages: Sequence[Sequence[Block]]) -> Pages:
    """The pages, each first table that continues the last table of the page before joined to it.

    It continues it when nothing but footers and headers lies between them, they are equally wide, and they have as many
    columns or a last and a first row alike. Header rows that are repeated are left out. The later block stays, with
    empty content and `continues`. From the last page to the first, so that a table may run over many.
    """
    joined = [list(page) for page in pages]
    for before, page in zip(reversed(joined[:-1]), reversed(joined[1:]), strict=True):
        first = next((index for index, block in enumerate(page) if block.label == "table"), None)
        last = next((index for index in reversed(range(len(before))) if before[index].label == "table"), None)
        if first is None or last is None or not _adjoin(before, last, page, first):
            continue
        content = _joined(before[last].content, page[first].content)
        if content is not None:
            before[last] = replace(before[last], content=content)
            page[first] = replace(page[first], content="", continues=True)
    return tuple(map(tuple, joined))


def _adjoin(before: Sequence[Block], last: int, page: Sequence[Block], first: int) -> bool:
    widths = [block.bbox[2] - block.bbox[0] for block in (before[last], page[first])]
    return (
        min(widths) > 0
        and abs(widths[0] - widths[1]) / min(widths) < _WIDER
        and all(block.label in _AFTER for block in before[last + 1 :])
        and all(block.label in _BEFORE for block in page[:first])
    )


def _joined(upper: str, lower: str) -> str | None:
    """Both tables as one; None where they are two."""
    above, below = rows(upper), rows(lower)
    sources = row_sources(lower)
    if not above or not below or len(sources) != len(below) or len(row_sources(upper)) != len(above):
        return None
    repeated = _repeated_rows(above, below)
    if _columns(above) != _columns(below) and not _go_on(above[-1], below[repeated:]):
        return None
    return append_rows(upper, sources[repeated:])


def _repeated_rows(above: list[list[HtmlCell]], below: list[list[HtmlCell]]) -> int:
    """How many rows at the top of both say the same."""
    count = 0
    for one, other in zip(above[:_MOST_HEADER_ROWS], below[:_MOST_HEADER_ROWS], strict=False):
        if [_said(cell) for cell in one] != [_said(cell) for cell in other]:
            break
        count += 1
    return count


def _said(cell: HtmlCell) -> tuple[str, int]:
    """Text without blanks and full-width forms."""
    return "".join(cell.text.translate(_FULL_WIDTH).split()), cell.columns


def _go_on(last: list[HtmlCell], below: list[list[HtmlCell]]) -> bool:
    if not below:
        return False
    return len(last) == len(below[0]) or sum(c.columns for c in last) == sum(c.columns for c in below[0])


def _columns(table: list[list[HtmlCell]]) -> int:
    """The width of a table, cells that reach down from above included."""
    free_from: list[int] = []  # for each column, the first row that no cell from above reaches
    widest = 0
    for index, row in enumerate(table):
        column = 0
        for cell in row:
            while column < len(free_from) and free_from[column] > index:
                column += 1
            end = min(column + cell.columns, _MOST_COLUMNS)
            free_from += [0] * (end - len(free_from))
            for place in range(column, end):
                free_from[place] = max(free_from[place], index + cell.rows)
            column = end
        widest = max(widest, column)
    return widest
