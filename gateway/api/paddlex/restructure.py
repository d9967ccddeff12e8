"""`POST /restructure-pages`: what can be done over a whole document, on pages that were read before."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio
from fastapi import Request
from starlette.types import Send

from gateway.api.body import json_body
from gateway.api.exchange import Answer
from gateway.api.paddlex import envelope
from gateway.api.paddlex.document import add_global_ids, exports, restructured
from gateway.api.paddlex.pages import Writing, parsing_res_list
from gateway.api.paddlex.requests import log_id_of, refusal, validated
from gateway.api.paddlex.stored import RestructureFields, StoredBlock, StoredResult, StoredSettings
from gateway.api.render import dump
from gateway.assemble import Style, image_path, page_markdown
from gateway.document import Block
from gateway.errors import InvalidBase64
from gateway.intake.source import decode_base64

MOST_VALUES = 2_000_000
"""In one body: a page has a few hundred, with its blocks and their corners."""

_HEADING = re.compile(r"^#+\s")
_KEPT = ("block_polygon_points", "block_error")
_PICTURES = frozenset({"image", "header_image", "footer_image", "seal", "chart"})


class Call:
    """One call of `/restructure-pages`; `max_bytes` bounds its body as it does a document in base64."""

    def __init__(self, max_bytes: int, request_id: str) -> None:
        self._max_bytes = max_bytes
        self._log_id = request_id

    async def prepare(self, request: Request) -> Answer:
        """The body is read and found in order."""
        members = await json_body(request, self._max_bytes, MOST_VALUES)
        if log_id := log_id_of(members):
            self._log_id = request.state.log_id = log_id
        fields = await anyio.to_thread.run_sync(validated, RestructureFields, members)
        fields.refuse_the_impossible()
        if fields.concatenatePages and not fields.pages:
            raise refusal([("value_error", "body.pages", "there is no page to concatenate")])
        return partial(self._answer, fields)

    async def _answer(self, fields: RestructureFields, send: Send) -> None:
        await envelope.send_json(send, await anyio.to_thread.run_sync(self._body, fields))

    def _body(self, fields: RestructureFields) -> list[bytes]:
        found = restructured([_blocks(page.prunedResult) for page in fields.pages], fields)
        pages = [
            _Page(page.prunedResult, blocks, page.markdownImages)
            for page, blocks in zip(fields.pages, found, strict=True)
        ]
        if fields.concatenatePages:
            pages = [_concatenated(pages)]
        answers = [_answer(page, fields, f"page_{number}") for number, page in enumerate(pages, 1)]
        written = [answer["prunedResult"]["parsing_res_list"] for answer in answers]
        add_global_ids([page.blocks for page in pages], written)
        return envelope.success(self._log_id, [dump(answer) for answer in answers])


@dataclass(frozen=True, slots=True)
class _Page:
    """What was stored of a page, its blocks as they are now, and the pictures that its Markdown names."""

    stored: StoredResult
    blocks: Sequence[Block]
    images: dict[str, str] | None


def _blocks(stored: StoredResult) -> list[Block]:
    blocks = []
    for index, one in enumerate(stored.parsing_res_list):
        x0, y0, x1, y1 = (int(side) for side in one.block_bbox)
        block = Block(index, one.block_label, (x0, y0, x1, y1), None, 1.0, _HEADING.sub("", one.block_content))
        shown = _is_picture(one.block_label, stored.model_settings)
        blocks.append(replace(block, image=image_path(block.label, block.bbox)) if shown else block)
    return blocks


def _is_picture(label: str, settings: StoredSettings) -> bool:
    if label == "chart":
        return not settings.use_chart_recognition
    return label in _PICTURES and (label != "seal" or settings.use_layout_detection)


def _concatenated(pages: Sequence[_Page]) -> _Page:
    """One page: the first, with the blocks of all, and lists of what else every page has."""
    first = pages[0].stored
    blocks = [block for page in pages for block in page.blocks]
    more: dict[str, Any] = {"page_count": len(pages)}
    for name in ("layout_det_res", "doc_preprocessor_res"):
        if name in (first.model_extra or {}):
            more[name] = [(page.stored.model_extra or {}).get(name) for page in pages]
    parts = [block for page in pages for block in page.stored.parsing_res_list]
    images = {path: image for page in pages for path, image in (page.images or {}).items()}
    stored = first.model_copy(update={**more, "parsing_res_list": parts})
    return _Page(stored, [replace(block, id=index) for index, block in enumerate(blocks)], images)


def _answer(page: _Page, fields: RestructureFields, name: str) -> dict[str, Any]:
    settings = page.stored.model_settings
    ignored = tuple(settings.markdown_ignore_labels)
    style = Style(
        pretty=fields.prettifyMarkdown,
        formula_numbers=fields.showFormulaNumber,
        charts=settings.use_chart_recognition,
        seals=settings.use_seal_recognition,
        pictures=settings.use_ocr_for_image_block,
        ignored=frozenset(ignored),
    )
    formatted = Writing(replace(style, pretty=True), ignored, settings.format_block_content)
    written = parsing_res_list(page.blocks, page.stored.width, formatted)
    for one, part in zip(written, page.stored.parsing_res_list, strict=True):
        one.update(_kept(part))
    markdown: dict[str, Any] = {"text": page_markdown(page.blocks, page.stored.width, style)}
    if fields.returnMarkdownImages and page.images is not None:
        markdown["images"] = page.images
    stored = page.stored.model_dump(exclude={"parsing_res_list"})
    answer: dict[str, Any] = {"prunedResult": {**stored, "parsing_res_list": written}, "markdown": markdown}
    if fields.outputFormats:
        size = page.stored.width, page.stored.height
        answer["exports"] = exports(page.blocks, size, _files(page.images or {}), name)
    return answer


def _files(images: Mapping[str, str]) -> dict[str, bytes]:
    """Pictures in base64 or data URLs by their paths; URLs are not fetched. Raises `InvalidRequest`."""
    try:
        return {
            path: decode_base64(image) for path, image in images.items() if not image.startswith(("http:", "https:"))
        }
    except InvalidBase64 as exc:
        raise refusal([("value_error", "body.pages.markdownImages", exc.detail)]) from exc


def _kept(part: StoredBlock) -> dict[str, Any]:
    """What of a stored block goes on as it came."""
    kept = {name: value for name, value in (part.model_extra or {}).items() if name in _KEPT}
    return kept if part.group_id is None else {**kept, "group_id": part.group_id}
