"""Blocks to Markdown as PaddleX 3.7.2 writes it (`markdown_format_funcs`), `prettifyMarkdown` by default.

One difference in kind: a region that could not be read says so, in a comment at its place.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest

from gateway.document import Block

IGNORED = frozenset({"number", "footnote", "header", "header_image", "footer", "footer_image", "aside_text"})
"""Labels that the Markdown of a page leaves out by default."""

_DEEPEST = 6
"""Markdown knows no deeper heading."""

_HAN = "一二三四五六七八九十百千万亿零壹贰叁肆伍陆柒捌玖拾"
_NUMBERED = re.compile(
    rf"\s*([1-9][0-9]*(?:\.[1-9][0-9]*)*[.、]?|[(（](?:[1-9][0-9]*|[{_HAN}]+)[)）]|[{_HAN}]+[、.]?"
    r"|(?:I|II|III|IV|V|VI|VII|VIII|IX|X)[.\s])\s*(.*)$"
)

_TABLE_STYLE = (
    ("<table>", "<table border=1 style='margin: auto; word-wrap: break-word;'>"),
    ("<th>", "<th style='text-align: center; word-wrap: break-word;'>"),
    ("<td>", "<td style='text-align: center; word-wrap: break-word;'>"),
)


@dataclass(frozen=True, slots=True)
class Style:
    """How Markdown is written.

    `pretty`: pictures, captions and tables as centred HTML. `formula_numbers`: a formula carries the number beside it.
    `charts`, `seals`, `pictures`: these were read, so their text is shown. `ignored`: labels that are left out.
    """

    pretty: bool = True
    formula_numbers: bool = False
    charts: bool = False
    seals: bool = False
    pictures: bool = False
    ignored: frozenset[str] = IGNORED


def page_markdown(blocks: Sequence[Block], page_width: int, style: Style) -> str:
    """The blocks of one page, in their order, with a blank line between two."""
    text = ""
    for block in _with_formula_numbers(blocks) if style.formula_numbers else blocks:
        shown = block_markdown(block, page_width, style)
        if shown is not None:
            text += f"\n\n{shown}" if text else shown
    return text


def document_markdown(pages: Sequence[str]) -> str:
    """The Markdown of all pages, with a blank line between two."""
    return "\n\n".join(filter(None, pages))


def block_markdown(block: Block, page_width: int, style: Style) -> str | None:
    """One block; None for a label that Markdown leaves out. `page_width` in pixels gives pictures their share of it."""
    if block.label in style.ignored or block.label == "formula_number":
        return None
    if block.error is not None:
        state = "is cut" if block.content else "could not be read"
        comment = f"<!-- region {block.id} ({block.label}) {state}: {block.error.code} -->"
        if block.content:
            return f"{block_markdown(replace(block, error=None), page_width, style)}\n\n{comment}"
        unread = replace(style, seals=False, pictures=False)
        return comment if block.image is None else _picture(block, page_width, unread) + comment
    if block.image is not None:
        return _picture(block, page_width, style)
    if block.label == "chart":
        return _chart(block.content)
    if block.label == "table":
        return _table(block.content, style)
    if block.label in _CAPTIONS:
        return _centred(_one_line(block.content)) if style.pretty else block.content
    return _WRITERS.get(block.label, _plain)(block)


def _plain(block: Block) -> str:
    return block.content


def _paragraphs(block: Block) -> str:
    return block.content.replace("\n\n", "\n").replace("\n", "\n\n")


def _contents(block: Block) -> str:
    """A table of contents keeps its lines by two blanks at their ends."""
    return block.content.replace("-\n", "  \n").replace("\n", "  \n")


def _document_title(block: Block) -> str:
    return _one_line(f"# {block.content}")


def _title(block: Block) -> str:
    """As deep as its number has parts (`1.2 Method` is `###`), or as the whole document says."""
    if block.level is not None:
        return _heading(block.level, block.content)
    numbered = _NUMBERED.match(block.content)
    title = f"{numbered[1].strip()} {numbered[2]}" if numbered else block.content
    title = title.rstrip(".")
    return _heading(title.count(".") + 1, title)


def _heading(level: int, title: str) -> str:
    return _one_line(f"{'#' * max(1, min(level + 1, _DEEPEST))} {title}")


def _with_heading(block: Block, *, headings: Sequence[str], between: str, after: str) -> str:
    """An abstract or a list of references that begins with its own name has that as a heading."""
    pieces = block.content.split(between)
    for index, piece in enumerate(pieces):
        if piece.strip():
            if piece.lower() in headings:
                pieces[index] = f"## {piece}{after}"
            break
    return between.join(pieces)


def _algorithm(block: Block) -> str:
    return block.content.strip("\n")


_CAPTIONS = frozenset({"table_title", "figure_title", "chart_title", "seal"})

_WRITERS: dict[str, Callable[[Block], str]] = {
    "doc_title": _document_title,
    **dict.fromkeys(("paragraph_title", "abstract_title", "reference_title", "content_title"), _title),
    **dict.fromkeys(("text", "ocr", "vertical_text", "reference_content", "vision_footnote"), _paragraphs),
    "abstract": partial(_with_heading, headings=("摘要", "abstract"), between=" ", after="\n"),
    "reference": partial(_with_heading, headings=("参考文献", "references"), between="\n", after=""),
    "content": _contents,
    "algorithm": _algorithm,
}


def _picture(block: Block, page_width: int, style: Style) -> str:
    share = int((block.bbox[2] - block.bbox[0]) / page_width * 100)
    tag = f'<img src="{block.image}" alt="Image" width="{share}%" />' if style.pretty else f"![]({block.image})"
    if style.seals if block.label == "seal" else style.pictures:
        tag += f"\n\n{block.content}\n\n"
    return _centred(tag) if style.pretty else tag


def _chart(content: str) -> str:
    """A chart's values (`Year | Sales` and on) as a table."""
    header, *rows = ([html.escape(cell.strip()) for cell in line.split("|")] for line in content.split("\n"))
    head = "".join(f"<th style='text-align: center;'>{cell}</th>" for cell in header)
    lines = ["<table border=1 style='margin: auto; width: max-content;'>", f"  <thead><tr>{head}</tr></thead>"]
    cells = ("".join(f"<td style='text-align: center;'>{cell}</td>" for cell in row) for row in rows)
    lines += ["  <tbody>", *(f"    <tr>{row}</tr>" for row in cells), "  </tbody>", "</table>"]
    return "\n".join(lines)


def _table(content: str, style: Style) -> str:
    if not style.pretty:
        return f"\n\n{content}"
    for tag, styled in _TABLE_STYLE:
        content = content.replace(tag, styled)
    return f"\n{content}"


def _centred(content: str) -> str:
    return f'<div style="text-align: center;">{content}</div>\n'


def _one_line(text: str) -> str:
    return text.replace("-\n", "").replace("\n", " ")


def _with_formula_numbers(blocks: Sequence[Block]) -> Iterator[Block]:
    for block, after in zip_longest(blocks, blocks[1:]):
        if block.label in ("display_formula", "formula") and after is not None and after.label == "formula_number":
            formula = block.content.replace("$$", "")
            yield replace(block, content=rf"$${formula} \tag*{{{after.content}}}$$")
        else:
            yield block
