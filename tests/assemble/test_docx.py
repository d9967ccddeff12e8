"""A page as a Word file, read back with python-docx."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from gateway.assemble import otsl
from gateway.assemble.docx import to_docx
from gateway.document import Block, Failure

docx = pytest.importorskip("docx")

Box = tuple[int, int, int, int]


def block(label: str, content: str = "", box: Box = (0, 0, 50, 10), **more: Any) -> Block:
    return Block(0, label, box, None, 1.0, content, **more)


def opened(*blocks: Block, size: tuple[int, int] = (100, 200), images: dict[str, bytes] | None = None) -> Any:
    return docx.Document(io.BytesIO(to_docx(blocks, size, images or {})))


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(file, "JPEG")
    return file.getvalue()


def test_headings_and_paragraphs_are_words_own() -> None:
    """Titles by their level or their number, a paragraph a line, furniture in header and footer."""
    page = opened(
        block("header", "top"),
        block("doc_title", "The\ntitle"),
        block("paragraph_title", "1.2 Deep"),
        block("paragraph_title", "Level", level=3),
        block("text", "one\n\ntwo\x00"),
        block("footnote", "below"),
        size=(300, 200),
    )
    assert [(p.style.name, p.text) for p in page.paragraphs] == [
        ("Title", "The title"),
        ("Heading 2", "1.2 Deep"),
        ("Heading 3", "Level"),
        ("Normal", "one"),
        ("Normal", "two"),
    ]
    (section,) = page.sections
    assert section.header.paragraphs[-1].text == "top" and section.footer.paragraphs[-1].text == "below"
    assert section.page_width > section.page_height


def test_tables_keep_their_spans_and_pictures() -> None:
    """Joined cells are one, text is unescaped, a picture in a cell is a picture."""
    html = otsl.to_html(otsl.parse("<fcel>A<lcel><fcel>C & D<nl><ucel><xcel><fcel>E<nl><fcel>1<fcel>2<fcel>3<nl>"))
    page = opened(block("table", html.replace("E<", '<img src="p.jpg" />E<')), images={"p.jpg": jpeg()})
    (table,) = page.tables
    assert [[cell.text for cell in row.cells] for row in table.rows] == [
        ["A", "A", "C & D"],
        ["A", "A", "E"],
        ["1", "2", "3"],
    ]
    assert table.cell(0, 0)._tc is table.cell(1, 1)._tc
    assert len(page.inline_shapes) == 1


def test_no_table_is_too_strange() -> None:
    """Overlapping and endless spans, ragged rows and too many columns end in a table all the same."""
    cells = "<td colspan='999999999' rowspan='999999999'>a</td><td>b</td>"
    page = opened(
        block("table", f"<table><tr>{cells}</tr><tr><td>c</td></tr></table>"),
        block("table", "<table><tr><td rowspan=2>a</td><td>b</td></tr><tr><td colspan=2>c</td></tr></table>"),
        block("table", "<table></table>"),
        block("table", "<table><tr>" + "<td>x</td>" * 100 + "</tr></table>"),
    )
    assert [len(table.columns) for table in page.tables] == [63, 3, 63]


def test_formulas_are_words_own() -> None:
    """Alone and in a line; what cannot be converted stays LaTeX."""
    page = opened(
        block("display_formula", r" $$ \frac{a}{b} $$ "),
        block("text", "let $ x^2 $ be"),
        block("display_formula", r"\frac{"),
        block("formula_number", "(1)"),
    )
    maths = [len(paragraph._p.findall(".//{*}oMath")) for paragraph in page.paragraphs]
    assert maths == [1, 1, 0, 0]
    assert [paragraph.text for paragraph in page.paragraphs] == ["", "let  be", r"\frac{", "(1)"]


def test_nothing_is_dropped_without_a_word() -> None:
    """Pictures without a file leave their path, blocks that could not be read their error; charts are tables."""
    page = opened(
        block("image", image="gone.jpg"),
        block("image", image="bad.jpg"),
        block("text", error=Failure("recognition_failed", "why")),
        block("chart", "Year | Sales\n2021 | 10"),
        images={"bad.jpg": b"no picture"},
    )
    assert [paragraph.text for paragraph in page.paragraphs] == ["gone.jpg", "bad.jpg", "[text: recognition_failed]"]
    assert [[cell.text for cell in row.cells] for row in page.tables[0].rows] == [["Year", "Sales"], ["2021", "10"]]
