"""`POST /ocr`: the service's own dialect."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.types import Send

from gateway.api import openapi, render, schemas
from gateway.api.accept import JSON, MARKDOWN, NDJSON, negotiate
from gateway.api.body import JsonFields, MultipartFields, OptionFields, Submission, read_submission
from gateway.api.exchange import Answer, Exchange
from gateway.api.health import Health
from gateway.api.problems import request_id_of
from gateway.assemble import document_markdown
from gateway.document import Options, PageResult
from gateway.errors import GatewayError, InvalidRequest
from gateway.intake.fetch import Fetcher
from gateway.pipeline import Pipeline, Run, over_pages
from gateway.threads import in_thread


@dataclass(frozen=True, slots=True)
class Dialect:
    """What every call of `/ocr` works with; `max_bytes` is the largest document, `vlm` the name answers give."""

    pipeline: Pipeline
    fetcher: Fetcher
    health: Health
    max_bytes: int
    vlm: str


class Call:
    """One call: takes the submission in, and answers it in the form its caller accepts."""

    def __init__(self, dialect: Dialect, request_id: str, media: str) -> None:
        self._dialect = dialect
        self._request_id = request_id
        self._media = media
        self._clock = render.Clock()
        self._pages: list[PageResult] = []

    async def prepare(self, request: Request) -> Answer:
        """The body is read and found in order, and a backend is there to read it."""
        submission = await read_submission(request, self._dialect.max_bytes)
        options = submission.options
        if self._media == NDJSON and (options.join_tables or options.level_titles):
            raise InvalidRequest("join_tables, level_titles: these need all pages, and this answer sends each at once")
        if refusal := self._dialect.health.refusal():
            raise refusal
        return partial(self._answer, submission)

    def ending(self, error: GatewayError) -> bytes:
        """What tells a caller whose answer had begun that it will not be finished."""
        if self._media != NDJSON:
            return b""
        return _line(render.closing(self._request_id, self._pages, self._clock, error))

    async def _answer(self, submission: Submission, send: Send) -> None:
        source = submission.source
        data = await self._dialect.fetcher.fetch(source) if isinstance(source, str) else source
        self._clock.taken_in()
        async with self._dialect.pipeline.read(data, submission.options) as run:
            if self._media == NDJSON:
                await self._stream(run, send)
                return
            self._pages.extend([page async for page in run.pages])
        body = await in_thread(self._body, run.layout, submission.options)
        await _whole(send, body, self._media)

    def _body(self, layout: str, options: Options) -> bytes:
        self._pages = over_pages(self._pages, options)
        if self._media == MARKDOWN:
            return document_markdown([page.markdown for page in self._pages]).encode("utf-8", "replace")
        model = {"layout": layout, "vlm": self._dialect.vlm}
        return render.document(self._request_id, model, self._pages, self._clock)

    async def _stream(self, run: Run, send: Send) -> None:
        async for page in run.pages:
            if not self._pages:  # a document that fails before its first page gets a true status
                await _start(send, NDJSON)
            line = await in_thread(_page_line, page)
            await send({"type": "http.response.body", "body": line, "more_body": True})
            self._pages.append(replace(page, blocks=(), markdown="", images={}, regions=(), views={}))
        closing = _line(render.closing(self._request_id, self._pages, self._clock))
        await send({"type": "http.response.body", "body": closing, "more_body": False})


def routes(dialect: Dialect) -> APIRouter:
    """`POST /ocr`."""
    router = APIRouter(tags=["documents"])

    @router.post(
        "/ocr",
        summary="Read a document",
        response_class=Response,
        responses=_RESPONSES,
        openapi_extra={"requestBody": _BODY, "parameters": _QUERY},
    )
    async def read(request: Request) -> Response:
        call = Call(dialect, request_id_of(request), negotiate(request.headers.get("accept", "")))
        return Exchange(dialect.health.admission, call.prepare, call.ending)

    return router


def _page_line(page: PageResult) -> bytes:
    return _line(render.page(page))


def _line(value: dict[str, Any]) -> bytes:
    return render.dump(value) + b"\n"


async def _start(send: Send, media: str, *headers: tuple[bytes, bytes]) -> None:
    charset = "; charset=utf-8" if media == MARKDOWN else ""
    content_type = (b"content-type", (media + charset).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [content_type, *headers]})


async def _whole(send: Send, body: bytes, media: str) -> None:
    await _start(send, media, (b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.body", "body": body, "more_body": False})


SHAPES = (
    schemas.DocumentShape,
    schemas.PageShape,
    schemas.ClosingShape,
    schemas.Problem,
    MultipartFields,
    JsonFields,
    OptionFields,
)
"""What the description of `/ocr` refers to."""

_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {"schema": openapi.ref(MultipartFields)},
        JSON: {"schema": openapi.ref(JsonFields)},
        **{
            media: {"schema": {"type": "string", "format": "binary"}}
            for media in ("image/*", "application/pdf", "application/octet-stream")
        },
    },
}

_QUERY = [
    {"name": name, "in": "query", "description": f"{field.description} (raw bodies)", "schema": {"type": "string"}}
    for name, field in OptionFields.model_fields.items()
]

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The document: whole, as Markdown alone, or a page a line and a closing line",
        "content": {
            JSON: {"schema": openapi.ref(schemas.DocumentShape)},
            MARKDOWN: {"schema": {"type": "string"}},
            NDJSON: {"schema": {"anyOf": [openapi.ref(schemas.PageShape), openapi.ref(schemas.ClosingShape)]}},
        },
    },
    **openapi.problem_responses((400, 401, 403, 406, 408, 413, 415, 422, 429, 431, 500, 502, 503, 504)),
}
