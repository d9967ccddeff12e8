"""How deep headings are."""

from __future__ import annotations

import pytest

from gateway.assemble import Style, level_titles, page_markdown
from gateway.assemble.sizes import size_ranks
from gateway.document import Block


def title(text: str, size: int = 20, width: int = 300) -> Block:
    return Block(0, "paragraph_title", (0, 0, width, size), None, 0.5, text)


def levels(*titles: Block) -> list[int | None]:
    return [block.level for block in level_titles([titles])[0]]


def test_decimal_numbers_say_how_deep() -> None:
    """`1.1` is below `1`."""
    assert levels(title("1 One"), title("1.1 Part", 18), title("1.1.1 Piece", 16), title("2 Two")) == [1, 2, 3, 1]


def test_a_kind_of_number_is_below_those_that_came_before() -> None:
    """Where the signs disagree, a new kind is one deeper than the kinds before it."""
    assert levels(title("第一章", 40), title("（二）", 30), title("A. part", 10), title("(1) item", 30)) == [1, 1, 2, 3]


def test_without_a_number_the_size_decides() -> None:
    """The largest type is the first level; the lines of a title share its height, and vertical ones its width."""
    assert levels(title("Large", 40), title("Small", 10), title("two\nlines", 80), title("tall", 300, 10)) == [
        1,
        2,
        1,
        2,
    ]


def test_some_words_are_always_at_the_top() -> None:
    """Abstract, references and their like, in small type too."""
    assert levels(title("Large", 40), title("References:", 10), title("参考文献", 10)) == [1, 1, 1]


def test_other_blocks_have_no_level_and_markdown_shows_it() -> None:
    """Only `paragraph_title` is looked at, over all pages; the Markdown follows."""
    text = Block(0, "text", (0, 0, 9, 9), None, 0.5, "x")
    first, second = level_titles([[title("Large", 40), text], [title("3.5 million", 10)]])
    assert [block.level for block in (*first, *second)] == [1, None, 2]
    assert page_markdown(second, 100, Style()) == "### 3.5 million"
    assert level_titles([]) == ()


@pytest.mark.parametrize(
    ("sizes", "ranks"),
    [
        ([61, 63, 47, 23, 47, 50, 65, 27], {23: 4, 27: 4, 47: 3, 50: 3, 61: 2, 63: 2, 65: 1}),
        ([39, 59, 26, 45, 18, 31, 35, 52, 67], {18: 4, 26: 4, 31: 3, 35: 3, 39: 3, 45: 2, 52: 2, 59: 1, 67: 1}),
        ([48, 24, 33, 34, 31, 23, 64, 57], {23: 4, 24: 4, 31: 3, 33: 3, 34: 3, 48: 2, 57: 1, 64: 1}),
        ([10, 10, 20], {10: 2, 20: 1}),
        ([], {}),
    ],
)
def test_sizes_are_sorted_into_kinds(sizes: list[int], ranks: dict[int, int]) -> None:
    """As by scikit-learn 1.9.1, whose answers these are."""
    assert size_ranks(sizes) == ranks
