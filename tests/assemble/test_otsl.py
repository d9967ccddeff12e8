"""Tables from the model's tokens."""

from __future__ import annotations

import pytest

from gateway.assemble.otsl import parse, to_html


def table(answer: str) -> str:
    return to_html(parse(answer)).removeprefix("<table>").removesuffix("</table>")


@pytest.mark.parametrize(
    ("answer", "html"),
    [
        ("<fcel>a<fcel>b<nl><fcel>c<ecel><nl>", "<tr><td>a</td><td>b</td></tr><tr><td>c</td><td></td></tr>"),
        ("<fcel>a<lcel><nl>", '<tr><td colspan="2">a</td></tr>'),
        ("<fcel>a<nl><ucel><nl>", '<tr><td rowspan="2">a</td></tr><tr></tr>'),
        ("<fcel>a<lcel><nl><ucel><xcel><nl>", '<tr><td rowspan="2" colspan="2">a</td></tr><tr></tr>'),
        ("<fcel>a", "<tr><td>a</td></tr>"),
    ],
)
def test_cells_and_spans(answer: str, html: str) -> None:
    """Every token does what it says; the last `<nl>` may be missing."""
    assert table(answer) == html


def test_text_is_escaped() -> None:
    """What looks like HTML is text."""
    assert table("<fcel><script>alert('&')</script>") == (
        "<tr><td>&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;</td></tr>"
    )


@pytest.mark.parametrize(
    ("answer", "html"),
    [
        ("<fcel>a<fcel>b<nl><fcel>c<nl>", "<tr><td>a</td><td>b</td></tr><tr><td>c</td><td></td></tr>"),
        ("<fcel>a<ecel><nl><fcel>b<nl><fcel>c<nl>", "<tr><td>a</td></tr><tr><td>b</td></tr><tr><td>c</td></tr>"),
        ("a<fcel>b<nl>", "<tr><td>a</td><td>b</td></tr>"),
        ("<fcel>a<nl>b", "<tr><td>a</td></tr><tr><td>b</td></tr>"),
        ("<fcel>a<lcel>b<nl>", "<tr><td>a</td><td>b</td></tr>"),
        ("<fcel><fcel>b<nl>", "<tr><td></td><td>b</td></tr>"),
        ("<fcel><nl><lcel>", "<tr><td></td></tr><tr><td></td></tr>"),
        (
            "<fcel>a<fcel>b<nl><fcel>c<xcel><nl>",
            '<tr><td>a</td><td rowspan="2">b</td></tr><tr><td>c</td></tr>',
        ),
        ("<ucel><fcel>a<nl>", "<tr><td></td><td>a</td></tr>"),
        (
            "<fcel>a<lcel><nl><ucel><fcel>b<nl>",
            '<tr><td colspan="2">a</td></tr><tr><td></td><td>b</td></tr>',
        ),
    ],
)
def test_broken_rows_are_mended(answer: str, html: str) -> None:
    """Short and long rows, text where none belongs, spans of nothing or of no rectangle: no text is lost."""
    assert table(answer) == html


def test_an_answer_without_tokens_is_a_row_a_line() -> None:
    """Plain text is still a table; nothing is none."""
    assert table("one\n\n two & three ") == "<tr><td>one</td></tr><tr><td>two &amp; three</td></tr>"
    assert table(" \n") == table("<nl>") == ""


def test_large_tables_stay_in_proportion() -> None:
    """100,000 cells are no matter, nor long spans, and a long row among many short ones does not multiply them."""
    assert table("<fcel>x<fcel>y<nl>" * 50_000).count("<td>") == 100_000
    uneven = "<ecel>" * 20_000 + "<fcel>x<nl>" + "<fcel>y<nl>" * 20_000
    assert len(table(uneven)) < 2_000_000
    assert table("<fcel>a" + "<lcel>" * 19_999) == '<tr><td colspan="20000">a</td></tr>'
    assert table("<fcel>a<nl>" + "<ucel><nl>" * 19_999).startswith('<tr><td rowspan="20000">a</td></tr>')
