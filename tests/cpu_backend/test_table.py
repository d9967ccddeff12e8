"""Tables as cells, and cells as OTSL."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.assemble.otsl import parse
from gateway.cpu_backend.lines import Line
from gateway.cpu_backend.table import Written, by_gaps, otsl, stacked


def test_spans_in_both_directions() -> None:
    """A cell over two rows and two columns is followed by its left, upper and inner parts."""
    cells = [Written("a", (0, 2), (0, 2)), Written("b", (0, 1), (2, 3)), Written("", (1, 2), (2, 3))]
    assert otsl(cells) == "<fcel>a<lcel><fcel>b<nl><ucel><xcel><ecel><nl>"


def test_texts_above_and_below_take_whole_rows() -> None:
    """They are cells as wide as the table."""
    cells = stacked(["title"], [Written("a", (0, 1), (0, 1)), Written("b", (0, 1), (1, 2))], ["note"])
    assert otsl(cells) == "<fcel>title<lcel><nl><fcel>a<fcel>b<nl><fcel>note<lcel><nl>"


@given(st.lists(st.lists(st.sampled_from(["", "x", "1,5"]), min_size=3, max_size=3), min_size=1, max_size=5))
def test_the_gateway_reads_what_is_written(grid: list[list[str]]) -> None:
    """OTSL of a plain grid parses back to the grid."""
    cells = [
        Written(text, (row, row + 1), (column, column + 1))
        for row, texts in enumerate(grid)
        for column, text in enumerate(texts)
    ]
    assert [[cell.text for cell in row] for row in parse(otsl(cells))] == grid


def test_a_crossing_line_does_not_close_a_gap() -> None:
    """One wide line in eleven rows leaves the columns as they are, and goes where it begins."""
    rows = [[(Line.box(0, y, 60, y + 20), "a"), (Line.box(200, y, 260, y + 20), "b")] for y in range(0, 300, 30)]
    otsl_text = by_gaps([[(Line.box(0, -30, 260, -10), "all of it")], *rows])
    assert otsl_text.startswith("<fcel>all of it<ecel><nl><fcel>a<fcel>b<nl>")
