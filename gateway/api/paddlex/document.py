"""What PaddleX does over all pages of a document (`restructure_pages`), fresh ones and stored ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pybase64 import b64encode_as_string

from gateway.api.paddlex.requests import Fields
from gateway.assemble import join_tables, level_titles
from gateway.assemble.docx import to_docx
from gateway.document import Block

Pages = Sequence[Sequence[Block]]


def restructured(pages: Pages, fields: Fields) -> Pages:
    """The pages with tables joined and headings levelled, as the request wants it."""
    if fields.mergeTables:
        pages = join_tables(pages)
    if fields.relevelTitles:
        pages = level_titles(pages)
    return pages


def add_global_ids(pages: Pages, written: Sequence[Sequence[dict[str, Any]]]) -> None:
    """Give every written block its number in the document, and that of the table it goes on from."""
    number, last_table = 0, -1
    for page, blocks in zip(pages, written, strict=True):
        for block, one in zip(page, blocks, strict=True):
            one["global_block_id"] = number
            one["global_group_id"] = last_table if block.continues else number
            if block.label == "table":
                last_table = one["global_group_id"]
            number += 1


def exports(blocks: Sequence[Block], size: tuple[int, int], images: Mapping[str, bytes], name: str) -> dict[str, Any]:
    """The files of `outputFormats`: of all that there are, Word's."""
    file = to_docx(blocks, size, images)
    return {"docx": {"content": b64encode_as_string(file), "fileName": f"{name}.docx"}}
