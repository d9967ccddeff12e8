"""Rows and blocks of one column, without any model."""

from __future__ import annotations

import pytest

from gateway.layout.paragraphs import blocks
from gateway.layout.parts import Part, Row


def line(x0: float, y: float, x1: float, size: float = 10.0) -> Part:
    box = (x0, y, x1, y + 2 * size)
    return Part("line", box, box, size=size)


def together(row: Row, following: Row) -> bool:
    return False


def rows_of_blocks(parts: list[Part]) -> list[int]:
    return [len(block.rows) for block in blocks(parts, together)]


def test_a_wider_gap_begins_a_paragraph() -> None:
    """Rows 25 pixels apart belong together, a gap of 40 separates."""
    assert rows_of_blocks([line(0, y, 400) for y in (0, 25, 50, 90, 115, 140)]) == [3, 3]


@pytest.mark.parametrize("gap", [25, 35])
def test_a_list_with_even_gaps_is_one_block(gap: int) -> None:
    """However wide its lines stand, as long as they do not stand alone."""
    assert rows_of_blocks([line(0, gap * row, 400) for row in range(5)]) == [5]


def test_lines_far_apart_stand_alone() -> None:
    """Even gaps of more than twice a line's height are no paragraph."""
    assert rows_of_blocks([line(0, 60 * row, 400) for row in range(3)]) == [1, 1, 1]


def test_a_line_of_another_size_is_a_block_of_its_own() -> None:
    """A title right above its text."""
    assert rows_of_blocks([line(0, 0, 400, 18), line(0, 37, 400), line(0, 62, 400)]) == [1, 2]


def test_what_stands_beside_each_other_is_one_row() -> None:
    """Name and price, in the order they are read, though the price stands a little higher."""
    name, price = line(0, 4, 200), line(500, 0, 560)
    [block] = blocks([price, name], together)
    assert block.rows == ((name, price),)


def test_a_table_is_a_block_of_its_own() -> None:
    """Lines before and after it are not joined over it."""
    table = Part("table", (0, 25, 400, 200), (0, 25, 400, 200))
    assert rows_of_blocks([line(0, 0, 400), table, line(0, 205, 400)]) == [1, 1, 1]


def test_a_reason_to_keep_rows_apart_is_heeded() -> None:
    """The caller knows of a heading that looks like text."""
    parts = [line(0, y, 400) for y in (0, 25, 50)]
    assert [len(block.rows) for block in blocks(parts, lambda row, following: row[0] is parts[0])] == [1, 2]
