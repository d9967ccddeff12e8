"""`POST /layout-parsing`: a document read, in PaddleX's terms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio
from fastapi import Request
from pybase64 import b64encode_as_string
from starlette.types import Send

from gateway.api.body import json_body, too_large
from gateway.api.exchange import Answer
from gateway.api.health import Health
from gateway.api.paddlex import envelope
from gateway.api.paddlex.document import add_global_ids, exports, restructured
from gateway.api.paddlex.pages import OUTLINING, Writing, pruned_result
from gateway.api.paddlex.requests import ParsingFields, log_id_of, refusal, validated
from gateway.api.render import dump
from gateway.assemble import page_markdown
from gateway.document import Kind, Options, PageResult
from gateway.errors import BadDocument, FetchFailed, FetchRefused, InvalidRequest, TooLarge, Unsupported
from gateway.intake.fetch import Fetcher
from gateway.intake.source import HEAD_BYTES, decode_base64, kind_of
from gateway.pipeline import Pipeline, style_of

_IN_ORDER = ("number", "footnote", "header", "header_image", "footer", "footer_image", "aside_text")
_URLS = ("http://", "https://", "s3://")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What every call works with: `max_bytes` is the largest document, `visualize` is for callers who do not say."""

    pipeline: Pipeline
    fetcher: Fetcher
    health: Health
    max_bytes: int
    visualize: bool


class Call:
    """One call of `/layout-parsing`."""

    def __init__(self, dialect: Dialect, request_id: str) -> None:
        self._dialect = dialect
        self._log_id = request_id

    async def prepare(self, request: Request) -> Answer:
        """The body is read and found in order, and a backend is there to read it."""
        with _blaming_the_file():
            members = await json_body(request, self._dialect.max_bytes)
        if log_id := log_id_of(members):
            self._log_id = request.state.log_id = log_id
        fields = await anyio.to_thread.run_sync(validated, ParsingFields, members)
        if away := self._dialect.health.refusal():
            raise away
        pipeline = self._dialect.pipeline
        fields.refuse_the_impossible(adjustable=pipeline.adjustable, preparing=pipeline.preparing)
        return partial(self._answer, fields)

    async def _answer(self, fields: ParsingFields, send: Send) -> None:
        with _blaming_the_file():
            answer = await self._read(fields)
        await envelope.send_json(send, answer)

    async def _read(self, fields: ParsingFields) -> list[bytes]:
        data = await self._document(fields)
        visualize = self._dialect.visualize if fields.visualize is None else fields.visualize
        pipeline = self._dialect.pipeline
        options = fields.options(adjustable=pipeline.adjustable, views=visualize, preparing=pipeline.preparing)
        async with pipeline.read(data, options) as run:
            writing = _writing(fields, options, outlined=run.layout == OUTLINING)
            pages: list[PageResult] = []
            written: list[bytes] = []
            async for page in run.pages:
                if not fields.restructurePages:  # its pictures go as soon as they are text
                    written.append(await anyio.to_thread.run_sync(_written, page, fields, options, writing))
                    page = replace(page, blocks=(), markdown="", images={}, regions=(), views={})
                pages.append(page)
        if fields.restructurePages:
            written = await anyio.to_thread.run_sync(_restructured, pages, fields, options, writing)
        return envelope.success(self._log_id, written, dataInfo=_data_info(run.kind, pages))

    async def _document(self, fields: ParsingFields) -> bytes:
        if fields.file.lower().startswith(_URLS):
            data = await self._fetched(fields.file)
        else:
            data = await anyio.to_thread.run_sync(decode_base64, fields.file)
        if len(data) > self._dialect.max_bytes:
            raise too_large(self._dialect.max_bytes)
        if fields.fileType is not None and (kind_of(data[:HEAD_BYTES]) is Kind.PDF) != (fields.fileType == 0):
            raise refusal([("value_error", "body.fileType", "the file is another: 0 is PDF, 1 an image")])
        return data

    async def _fetched(self, url: str) -> bytes:
        try:
            return await self._dialect.fetcher.fetch(url)
        except InvalidRequest as exc:
            raise refusal([("value_error", "body.file", exc.detail)]) from exc


@contextmanager
def _blaming_the_file() -> Iterator[None]:
    """PaddleX answers 422 whenever it cannot take a document in; here that has the field's name and the reason."""
    try:
        yield
    except (BadDocument, FetchFailed, FetchRefused, TooLarge, Unsupported) as exc:
        raise refusal([("value_error", "body.file", exc.detail)]) from exc


def _writing(fields: ParsingFields, options: Options, *, outlined: bool) -> Writing:
    ignored = _IN_ORDER if options.ignored is None else tuple(fields.markdownIgnoreLabels or ())
    outlined = outlined and options.layout and options.detection.shape != "rect"
    return Writing(style_of(options), ignored, bool(fields.formatBlockContent), outlined)


def _written(page: PageResult, fields: ParsingFields, options: Options, writing: Writing) -> bytes:
    return dump(_result(page, fields, options, writing))


def _restructured(
    pages: Sequence[PageResult], fields: ParsingFields, options: Options, writing: Writing
) -> list[bytes]:
    found = restructured([page.blocks for page in pages], fields)
    results = []
    for page, blocks in zip(pages, found, strict=True):
        markdown = page_markdown(blocks, page.width, writing.style)
        results.append(_result(replace(page, blocks=tuple(blocks), markdown=markdown), fields, options, writing))
    add_global_ids(found, [result["prunedResult"]["parsing_res_list"] for result in results])
    return [dump(result) for result in results]


def _result(page: PageResult, fields: ParsingFields, options: Options, writing: Writing) -> dict[str, Any]:
    markdown: dict[str, Any] = {"text": page.markdown}
    if fields.returnMarkdownImages:
        markdown["images"] = {path: b64encode_as_string(jpeg) for path, jpeg in page.images.items()}
    result: dict[str, Any] = {"prunedResult": pruned_result(page, options, writing), "markdown": markdown}
    if options.views.names:
        overlay = "layout_det_res" if options.layout else "spotting_res_img"
        keys = {"prepared": "preprocessed_img", "overlay": overlay}
        result["outputImages"] = {
            keys[name]: b64encode_as_string(file) for name, file in page.views.items() if name in keys
        }
        result["inputImage"] = b64encode_as_string(page.views["given"])
    if fields.outputFormats:
        result["exports"] = exports(page.blocks, (page.width, page.height), page.images, f"page_{page.page}")
    return result


def _data_info(kind: Kind, pages: Sequence[PageResult]) -> dict[str, Any]:
    given = [page.preparation or page for page in pages]
    sizes = [{"width": page.width, "height": page.height} for page in given]
    if kind is Kind.PDF or len(pages) > 1:
        return {"numPages": len(pages), "pages": sizes, "type": "pdf" if kind is Kind.PDF else "tiff"}
    return {**sizes[0], "type": "image"}
