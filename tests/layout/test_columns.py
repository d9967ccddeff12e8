"""Reading order of lines on pages of all kinds, without any model."""

from __future__ import annotations

from gateway.layout.columns import stretches
from gateway.layout.parts import Part

HEIGHT = 20.0


def line(x0: float, y: float, x1: float) -> Part:
    box = (x0, y, x1, y + HEIGHT)
    return Part("line", box, box, size=10)


def column(x0: float, x1: float, top: float, rows: int) -> list[Part]:
    return [line(x0, top + 25 * row, x1) for row in range(rows)]


def order(*groups: list[Part]) -> list[Part]:
    """The parts as they are read, within a stretch from top to bottom and left to right."""
    everything = [part for group in reversed(groups) for part in group]
    return [part for stretch in stretches(everything) for part in sorted(stretch, key=lambda p: (p.box[1], p.box[0]))]


def test_headings_over_two_columns_stay_with_their_columns() -> None:
    """Neither heading is read before the other column's text."""
    left = [line(0, 100, 150), *column(0, 400, 140, 5)]
    right = [line(450, 100, 600), *column(450, 850, 140, 5)]
    assert order(left, right) == [*left, *right]


def test_what_spans_the_columns_is_read_at_its_place() -> None:
    """Title, columns, a heading across, columns again."""
    title, heading = [line(200, 0, 650)], [line(100, 400, 750)]
    first, second = column(0, 400, 60, 8), column(450, 850, 60, 8)
    third, fourth = column(0, 400, 450, 8), column(450, 850, 450, 8)
    parts = [title, first, second, heading, third, fourth]
    assert order(*parts) == [part for group in parts for part in group]


def test_a_caption_under_the_left_column_belongs_to_the_table_below() -> None:
    """A line nearer to what follows is not read before the right column."""
    first, second, caption = column(0, 400, 0, 8), column(450, 850, 0, 9), [line(0, 270, 300)]
    table = [Part("table", (0, 300, 850, 500), (0, 300, 850, 500))]
    assert order(first, second, caption, table) == [*first, *second, *caption, *table]


def test_a_line_above_the_right_column_is_read_first() -> None:
    """A date over two columns comes before both."""
    date, first, second = [line(600, 0, 850)], column(0, 400, 60, 8), column(450, 850, 60, 8)
    assert order(date, first, second) == [*date, *first, *second]


def test_columns_need_not_begin_together() -> None:
    """A right column that starts and ends elsewhere than the left one is still read after it."""
    first, second = column(0, 400, 100, 8), column(450, 850, 0, 14)
    assert order(first, second) == [*first, *second]


def test_three_columns() -> None:
    """From left to right, each from top to bottom, of different lengths."""
    columns = [column(0, 300, 0, 10), column(340, 640, 0, 7), column(680, 980, 0, 9)]
    assert order(*columns) == [part for group in columns for part in group]


def test_prices_are_no_column() -> None:
    """A receipt is read row by row."""
    names, prices = column(0, 200, 0, 6), column(500, 560, 0, 6)
    assert order(names, prices) == [part for row in zip(names, prices, strict=True) for part in row]


def test_two_ends_of_one_row_are_no_columns() -> None:
    """Place and date above a paragraph are read from left to right."""
    place, date, text = [line(0, 0, 150)], [line(600, 0, 850)], column(0, 850, 60, 5)
    assert order(place, date, text) == [*place, *date, *text]


def test_a_picture_beside_text_is_a_column() -> None:
    """A picture on the left, its text on the right."""
    picture = [Part("image", (0, 0, 400, 300), (0, 0, 400, 300))]
    text = column(450, 850, 0, 12)
    assert order(picture, text) == [*picture, *text]


def test_nothing_to_read() -> None:
    """No parts, no stretches."""
    assert list(stretches([])) == []
