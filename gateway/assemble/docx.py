"""A page, or a document, as a Word file (needs the extra `docx`)."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from html.entities import name2codepoint
from importlib.util import find_spec
from typing import Any

from gateway.assemble.html_table import HtmlCell, rows
from gateway.assemble.markdown import IGNORED
from gateway.document import Block

log = logging.getLogger(__name__)

_TOP = frozenset({"header", "header_image"})
_CENTRED = frozenset({"figure_title", "table_title", "chart_title", "seal"})
_TITLES = frozenset({"paragraph_title", "abstract_title", "reference_title", "content_title"})
_NUMBER = re.compile(r"\d+(?:\.\d+)*")
_FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$", re.DOTALL)
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"

_DEEPEST = 9
_MOST_COLUMNS = 63
"""What Word takes."""

_TEXT_WIDTH = 6.0
"""Inches between the margins of an upright letter page, Word's own."""


def available() -> bool:
    """Whether the extra `docx` is installed."""
    return all(find_spec(package) is not None for package in ("docx", "latex2mathml", "mathml2omml"))


def to_docx(blocks: Sequence[Block], size: tuple[int, int], images: Mapping[str, bytes]) -> bytes:
    """The blocks of a page of `size` (width and height in pixels) as the bytes of a .docx file.

    Headers and footers stand in Word's own; headings, tables with their spans and formulas are Word's too. `images` has
    picture files by the paths that blocks name; a picture that is missing or of no kind that Word takes
    leaves its path. Raises `ImportError`.
    """
    import docx

    document = docx.Document()
    section = document.sections[0]
    if size[0] > size[1]:
        section.page_width, section.page_height = section.page_height, section.page_width
    for block in blocks:
        home: Any = document
        if block.label in IGNORED:
            home = section.header if block.label in _TOP else section.footer
        _Writer(document, home, images, size[0])(block)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


class _Writer:
    """Writes one block into the document's body, its header or its footer."""

    def __init__(self, document: Any, home: Any, images: Mapping[str, bytes], page_width: int) -> None:
        self._document, self._home = document, home
        self._images, self._page_width = images, page_width

    def __call__(self, block: Block) -> None:
        if block.image is not None:
            self._picture(self._paragraph(centred=True), block.image, block.bbox[2] - block.bbox[0])
        self._content(block)
        if block.error is not None:
            self._paragraph().add_run(f"[{block.label}: {block.error.code}]").italic = True

    def _content(self, block: Block) -> None:
        content = _NOT_IN_XML.sub("", block.content).strip()
        if not content:
            return
        if block.label == "table" and "<table" in content:
            self._table(rows(content))
        elif block.label == "chart":
            self._table([[HtmlCell(cell.strip()) for cell in line.split("|")] for line in content.split("\n")])
        elif block.label == "doc_title":
            self._heading(content, 0)
        elif block.label in _TITLES:
            self._heading(content, _depth(block))
        elif "formula" in block.label and block.label != "formula_number":
            self._formula(content)
        else:
            for line in re.split(r"\n+", content):
                self._text(self._paragraph(centred=block.label in _CENTRED), line)

    def _paragraph(self, *, centred: bool = False) -> Any:
        paragraph = self._home.add_paragraph()
        if centred:
            from docx.enum.text import WD_ALIGN_PARAGRAPH

            paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
        return paragraph

    def _heading(self, content: str, level: int) -> None:
        text = content.replace("-\n", "").replace("\n", " ")
        self._document.add_heading(text, min(level, _DEEPEST))

    def _formula(self, content: str) -> None:
        paragraph = self._paragraph(centred=True)
        _add_formula(paragraph, content.strip().strip("$").strip())

    def _text(self, paragraph: Any, line: str) -> None:
        end = 0
        for match in _FORMULA.finditer(line):
            paragraph.add_run(line[end : match.start()])
            _add_formula(paragraph, match[0].strip("$").strip())
            end = match.end()
        paragraph.add_run(line[end:])

    def _picture(self, paragraph: Any, path: str, width: int) -> None:
        from docx.image.exceptions import UnrecognizedImageError
        from docx.shared import Inches

        inches = Inches(_TEXT_WIDTH * min(1.0, width / self._page_width))
        try:
            paragraph.add_run().add_picture(io.BytesIO(self._images[path]), inches)
        except (KeyError, UnrecognizedImageError):
            paragraph.add_run(path)

    def _table(self, table: Sequence[Sequence[HtmlCell]]) -> None:
        places, height, width = _places(table)
        if not places:
            return
        from docx.shared import Inches

        added = self._home.add_table(height, width, *([] if self._home is self._document else [Inches(_TEXT_WIDTH)]))
        added.style = self._document.styles["Table Grid"]
        grid = [row.cells for row in added.rows]  # each look into a table walks over all of it
        for (y, x), (cell, y_end, x_end) in places.items():
            place = grid[y][x]
            if (y_end, x_end) != (y, x):
                place = place.merge(grid[y_end][x_end])
            paragraph = place.paragraphs[0]
            self._text(paragraph, cell.text.strip())
            for path in cell.pictures:
                self._picture(paragraph, path, self._page_width // max(1, width))


def _depth(block: Block) -> int:
    if block.level is not None:
        return max(1, block.level)
    numbered = _NUMBER.match(block.content.strip())
    return numbered[0].count(".") + 1 if numbered else 1


def _places(
    table: Sequence[Sequence[HtmlCell]],
) -> tuple[dict[tuple[int, int], tuple[HtmlCell, int, int]], int, int]:
    """The cells by their first row and column, with their last ones; the table's height and width.

    What stands right of Word's last column is left out.
    """
    places: dict[tuple[int, int], tuple[HtmlCell, int, int]] = {}
    taken: set[tuple[int, int]] = set()
    width = 0
    for y, row in enumerate(table):
        x = 0
        for cell in row:
            while (y, x) in taken:
                x += 1
            if x >= _MOST_COLUMNS:
                break
            y_end, x_end = min(y + cell.rows, len(table)) - 1, min(x + cell.columns, _MOST_COLUMNS) - 1
            area = {(below, beside) for below in range(y, y_end + 1) for beside in range(x, x_end + 1)}
            if area & taken:  # spans that overlap: the later one gives way
                y_end, x_end, area = y, x, {(y, x)}
            taken |= area
            places[y, x] = cell, y_end, x_end
            width = max(width, x_end + 1)
            x = x_end + 1
    return places, len(table), width


def _add_formula(paragraph: Any, latex: str) -> None:
    """LaTeX as a formula of Word's; what cannot be converted stays as it is written."""
    formula = _omml(latex)
    if formula is None:
        paragraph.add_run(latex)
    else:
        paragraph._p.append(formula)


def _omml(latex: str) -> Any | None:
    import latex2mathml.converter
    import mathml2omml
    from docx.oxml import parse_xml

    convert: Callable[[str], str] = latex2mathml.converter.convert
    try:
        omml = str(mathml2omml.convert(convert(latex), name2codepoint))
        return parse_xml(omml.replace("<m:oMath>", f'<m:oMath xmlns:m="{_MATH}">', 1))
    except Exception as exc:  # the converters raise anything at LaTeX they do not know
        log.info("a formula is written out in LaTeX: %r", exc)
        return None
