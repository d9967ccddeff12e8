"""Tables over page breaks."""

from __future__ import annotations

import pytest

from gateway.assemble import join_tables
from gateway.assemble.across import Pages
from gateway.document import Block

HEAD = "<tr><td>Item</td><td>Price</td></tr>"


def block(label: str, content: str = "", width: int = 100) -> Block:
    return Block(0, label, (0, 0, width, 50), None, 0.5, content)


def table(*rows: str, width: int = 100) -> Block:
    return block("table", f"<table>{''.join(rows)}</table>", width)


def row(*cells: str) -> str:
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def contents(pages: Pages) -> list[str]:
    return [b.content for page in pages for b in page if b.label == "table"]


def test_a_table_goes_on_over_pages() -> None:
    """Rows of three pages come together in the first, without the repeated head, past footers and headers."""
    joined = join_tables(
        [
            [block("text"), table(HEAD, row("a", "1")), block("footer")],
            [block("header"), table("<tr><td>Ｉｔｅｍ</td><td>Pri ce</td></tr>", row("b", "&lt;2&gt;"))],
            [table(row("c", "3")), block("text")],
        ]
    )
    assert contents(joined) == [f"<table>{HEAD}{row('a', '1')}{row('b', '&lt;2&gt;')}{row('c', '3')}</table>", "", ""]
    assert [b.continues for page in joined for b in page if b.label == "table"] == [False, True, True]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([table(HEAD), block("text")], [table(HEAD)]),
        ([table(HEAD)], [block("text"), table(HEAD)]),
        ([table(HEAD)], [table(HEAD, width=110)]),
        ([table(HEAD)], [table(row("a", "b", "c"))]),
        ([table(HEAD)], [block("table")]),
        ([block("table", "not a table")], [block("table", "not one either")]),
        ([block("table", "<table><tr><td>open")], [block("table", "<table><tr><td>open")]),
        ([table(HEAD)], [block("text")]),
        ([], [table(HEAD)]),
    ],
)
def test_other_tables_stay_apart(before: list[Block], after: list[Block]) -> None:
    """Text between, another width, other columns, no rows to join: two tables."""
    assert join_tables([before, after]) == (tuple(before), tuple(after))


def test_a_row_of_the_same_form_goes_on() -> None:
    """Where the columns differ, a last and a first row with as many cells are enough."""
    upper = table('<tr><td colspan="3">all</td></tr>', row("a", "b"))
    assert contents(join_tables([[upper], [table(row("c", "d"))]]))[1] == ""


def test_spans_beyond_all_measure_are_bounded() -> None:
    """A cell that claims a billion rows and columns costs nothing."""
    wide = block("table", '<table><tr><td rowspan="99999999" colspan="99999999">x</td></tr></table>')
    many = block("table", f"<table><tr>{'<td colspan=1000>x</td>' * 5000}</tr></table>")
    assert len(join_tables([[wide], [wide], [many], [many]])) == 4


def test_no_pages_are_none() -> None:
    """An empty document stays one."""
    assert join_tables([]) == ()
