"""Blocks as Markdown."""

from __future__ import annotations

import pytest

from gateway.assemble import Style, document_markdown, page_markdown
from gateway.document import Block, Failure


def block(label: str, content: str = "", **others: object) -> Block:
    return Block(
        **{"id": 0, "bbox": (0, 0, 150, 9), "order": 0, "score": 0.9, "label": label, "content": content, **others}
    )  # type: ignore[arg-type]


def written(*blocks: Block, style: Style | None = None) -> str:
    return page_markdown(blocks, 600, style or Style())


@pytest.mark.parametrize(
    ("label", "content", "markdown"),
    [
        ("doc_title", "A title\nin two lines", "# A title in two lines"),
        ("paragraph_title", "Method", "## Method"),
        ("paragraph_title", "1.Method.", "### 1. Method"),
        ("paragraph_title", "1.2 Method", "### 1.2 Method"),
        ("paragraph_title", "第一章", "## 第一章"),
        ("paragraph_title", "1.1.1.1.1.1.1 Deep", "###### 1.1.1.1.1.1.1 Deep"),
        ("text", "one\ntwo\n\nthree", "one\n\ntwo\n\nthree"),
        ("abstract", "Abstract We show", "## Abstract\n We show"),
        ("content", "1 One\n2 Two", "1 One  \n2 Two"),
        ("algorithm", "\nfor x:\n", "for x:"),
        ("figure_title", "Figure 1", '<div style="text-align: center;">Figure 1</div>\n'),
        ("display_formula", " $$ x $$ ", " $$ x $$ "),
    ],
)
def test_labels_have_their_forms(label: str, content: str, markdown: str) -> None:
    """Headings by their numbers, paragraphs, captions in the middle."""
    assert written(block(label, content)) == markdown


@pytest.mark.parametrize(
    "label", ["number", "footnote", "header", "header_image", "footer", "footer_image", "aside_text", "formula_number"]
)
def test_what_is_around_a_page_is_left_out(label: str) -> None:
    """Headers, footers and their like are blocks, and no part of the running text."""
    assert written(block("text", "a"), block(label, "x", image=None), block("text", "b")) == "a\n\nb"
    assert written(block("header", "x"), style=Style(ignored=frozenset())) == "x"


def test_pictures_are_as_wide_as_their_share_of_the_page() -> None:
    """A quarter of the page is 25 percent; plain Markdown knows no width."""
    image = block("image", image="imgs/a.jpg")
    assert written(image) == (
        '<div style="text-align: center;"><img src="imgs/a.jpg" alt="Image" width="25%" /></div>\n'
    )
    assert written(image, style=Style(pretty=False)) == "![](imgs/a.jpg)"


def test_a_seal_that_was_read_shows_its_text_below() -> None:
    """The picture stays, its text follows."""
    seal = block("seal", "ACME", image="imgs/s.jpg")
    assert written(seal, style=Style(pretty=False, seals=True)) == "![](imgs/s.jpg)\n\nACME\n\n"
    assert "ACME" not in written(seal)


def test_tables_are_centred_html() -> None:
    """Table and cells carry their style; plain Markdown leaves them as they are."""
    table = block("table", "<table><tr><td>a</td></tr></table>")
    assert written(table) == (
        "\n<table border=1 style='margin: auto; word-wrap: break-word;'><tr>"
        "<td style='text-align: center; word-wrap: break-word;'>a</td></tr></table>"
    )
    assert written(table, style=Style(pretty=False)).strip() == table.content


def test_a_chart_that_was_read_is_a_table() -> None:
    """Its values are cells, escaped."""
    shown = written(block("chart", "Year | <b>\n2021 | 10"))
    assert "<th style='text-align: center;'>&lt;b&gt;</th>" in shown
    assert "<td style='text-align: center;'>2021</td><td style='text-align: center;'>10</td>" in shown


def test_a_formula_carries_its_number_on_request() -> None:
    """The number beside a formula becomes its tag."""
    blocks = block("display_formula", "$$x$$"), block("formula_number", "(1)")
    assert written(*blocks, style=Style(formula_numbers=True)) == r"$$x \tag*{(1)}$$"
    assert written(*blocks) == "$$x$$"


def test_what_could_not_be_read_says_so() -> None:
    """A comment at the region's place; a picture whose text is missing is still shown."""
    failure = Failure("recognition_failed", "why")
    assert written(block("text", error=failure, id=5)) == (
        "<!-- region 5 (text) could not be read: recognition_failed -->"
    )
    seal = written(block("seal", error=failure, image="imgs/s.jpg"))
    assert "imgs/s.jpg" in seal and "recognition_failed" in seal
    assert written(block("header", error=failure)) == ""


def test_what_was_cut_is_shown_as_far_as_it_goes() -> None:
    """The text that there is, and a comment that says that there was more."""
    cut = block("paragraph_title", "The ti", error=Failure("truncated", "why"), id=3)
    assert written(cut) == "## The ti\n\n<!-- region 3 (paragraph_title) is cut: truncated -->"


def test_pages_are_joined_by_a_blank_line() -> None:
    """Empty pages leave no gap."""
    assert document_markdown(["a", "", "b"]) == "a\n\nb"
