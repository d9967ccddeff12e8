"""What a caller sends to `/ocr`, in any of its three ways, as one `Submission`."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from gateway.document import Options, Task, Views
from gateway.errors import InvalidRequest, TooLarge, UnsupportedContentType
from gateway.intake.source import decode_base64
from gateway.threads import in_thread

OVERHEAD = 1 << 20
"""Bytes that boundaries, part headers and options may add to a document."""

MOST_VALUES = 100_000
"""In a body of JSON that is to hold a document and options."""


_VIEWS = {"overlay": Views(("overlay",)), "page": Views(("page",), "JPEG", 1600)}
"""What the values of `images` show of a page."""


class OptionFields(BaseModel):
    """The options of `/ocr`, however they are sent."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    pages: str = Field("", description="1-based page selection, such as `1-3,7`; empty: all", examples=["1-3,7"])
    layout: bool = Field(True, description="`false`: the whole page is one region, read with `task`")
    task: Task | None = Field(None, description="What to read the page as; only with `layout=false`")
    language: str = Field(
        "", pattern=r"^([A-Za-z]{2,3})?$", description="ISO 639-1 or 639-2; a hint that the VLM ignores"
    )
    images: Literal["none", "inline", "overlay", "page"] = Field(
        "none",
        description="`inline`: return cropped pictures; `overlay`: every page with its regions, labels and order "
        "drawn; `page`: cropped pictures, and every page as a JPEG to look at",
    )

    priority: Literal["interactive", "batch"] = Field(
        "interactive", description="Where something `interactive` waits, nothing of a `batch` gets a turn"
    )
    join_tables: bool = Field(False, description="Join a table that goes on over a page break to its first part")
    level_titles: bool = Field(False, description="Give headings the levels they have in the whole document")
    orientation: bool = Field(False, description="Turn pages upright first")
    unwarping: bool = Field(False, description="Flatten photographed pages first")

    def options(self) -> Options:
        if self.layout and self.task is not None:
            raise InvalidRequest("task: only with layout=false")
        return Options(
            self.pages,
            self.layout,
            self.task or Task.OCR,
            self.language.lower(),
            "inline" if self.images in ("inline", "page") else "none",
            views=_VIEWS.get(self.images, Views()),
            orientation=self.orientation,
            unwarping=self.unwarping,
            join_tables=self.join_tables,
            level_titles=self.level_titles,
            priority=self.priority,
        )


class JsonFields(OptionFields):
    """The JSON body of `/ocr`: exactly one of `image` and `url`, and the options."""

    image: str | None = Field(None, description="The document in base64, or as a data: URL")
    url: str | None = Field(None, description="`https://…`, `http://…` or `s3://bucket/key`")


class MultipartFields(OptionFields):
    """The parts of a multipart body, for `/openapi.json`."""

    file: bytes = Field(description="The document", json_schema_extra={"type": "string", "format": "binary"})


F = TypeVar("F", bound=OptionFields)


@dataclass(frozen=True, slots=True)
class Submission:
    """A document's bytes, or the URL they are to be fetched from."""

    source: bytes | str
    options: Options


class _Parser(MultiPartParser):
    """Keeps an uploaded file in memory: the document is bounded already, and the disk may be read-only."""

    def __init__(self, request: Request, limit: int) -> None:
        super().__init__(
            request.headers,
            _bounded(request, limit + OVERHEAD),  # type: ignore[arg-type]
            max_files=1,
            max_fields=len(OptionFields.model_fields),
            max_part_size=4096,
        )
        self.spool_max_size = limit + OVERHEAD

    def close(self) -> None:
        """Let go of the files, of those too whose parts never ended, which `parse` leaves open."""
        for file in self._files_to_close_on_error:
            file.close()


async def read_submission(request: Request, max_bytes: int) -> Submission:
    """The body of `request`, whole.

    Raises `UnsupportedContentType`, `InvalidRequest`, `InvalidBase64`, and `TooLarge` over `max_bytes` of document.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "multipart/form-data":
        return await _multipart(request, max_bytes)
    if content_type == "application/json":
        return await _json(request, max_bytes)
    if content_type in ("", "application/pdf", "application/octet-stream") or content_type.startswith("image/"):
        options = _fields(OptionFields, request.query_params.multi_items()).options()
        return Submission(await _whole(request, max_bytes), options)
    raise UnsupportedContentType(
        f"Content-Type {content_type!r}: send multipart/form-data, application/json, image/*, application/pdf or "
        "application/octet-stream."
    )


async def _multipart(request: Request, max_bytes: int) -> Submission:
    _no_query(request)
    parser = _Parser(request, max_bytes)
    try:
        items = (await parser.parse()).multi_items()
        fields = _fields(OptionFields, [(name, value) for name, value in items if isinstance(value, str)])
        files = [(name, value) for name, value in items if isinstance(value, UploadFile)]
        if [name for name, _ in files] != ["file"]:
            raise InvalidRequest("file: send exactly one part of this name, with a filename")
        data = await files[0][1].read()
    except MultiPartException as exc:
        raise InvalidRequest(f"multipart/form-data: {exc.message}") from exc
    except UnicodeError as exc:  # the body's charset may name any codec of Python's, and one always fails
        raise InvalidRequest("multipart/form-data: the names are not in its charset") from exc
    finally:
        parser.close()
    if len(data) > max_bytes:
        raise too_large(max_bytes)
    return Submission(data, fields.options())


async def _json(request: Request, max_bytes: int) -> Submission:
    _no_query(request)
    members = await json_body(request, max_bytes)
    return await in_thread(_submitted, members, max_bytes)


def _submitted(members: object, max_bytes: int) -> Submission:
    if not isinstance(members, Mapping):
        raise InvalidRequest("The body must be a JSON object.")
    fields = _fields(JsonFields, [(name, value) for name, value in members.items() if value is not None])
    if (fields.image is None) == (fields.url is None):
        raise InvalidRequest("image, url: give exactly one of the two")
    if fields.url is not None:
        return Submission(fields.url, fields.options())
    options = fields.options()
    data = decode_base64(fields.image or "")
    if len(data) > max_bytes:
        raise too_large(max_bytes)
    return Submission(data, options)


async def json_body(request: Request, max_bytes: int, most_values: int = MOST_VALUES) -> Any:
    """The value in a body of JSON that may hold a document of `max_bytes` in base64; no object gives a member twice.

    More than about `most_values` in all are refused: one of three bytes can cost a hundred in memory.

    Raises `TooLarge` and `InvalidRequest`.
    """
    raw = await _gathered(request, max_bytes * 4 // 3 + OVERHEAD)
    return await in_thread(_parsed, raw, most_values)


def _parsed(raw: io.BytesIO, most_values: int) -> Any:
    with raw:
        body = raw.getvalue()
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > most_values:
        raise InvalidRequest("The JSON has too many values.")
    try:
        text = str(body, "utf-8-sig")
    except UnicodeDecodeError as exc:
        raise InvalidRequest("The body is not valid JSON: it is not UTF-8.") from exc
    del body
    try:
        return json.loads(text, object_pairs_hook=_members)
    except (ValueError, RecursionError) as exc:
        raise InvalidRequest("The body is not valid JSON.") from exc


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member is given twice")
    return members


def _fields(model: type[F], pairs: Iterable[tuple[str, Any]]) -> F:
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name in given:
            raise InvalidRequest(f"{name}: given twice")
        given[name] = value
    try:
        return model.model_validate(given)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        known = ", ".join(model.model_fields)
        hint = f"unknown option; known are {known}" if first["type"] == "extra_forbidden" else first["msg"]
        raise InvalidRequest(f"{name[:80]}: {hint}") from exc


def _no_query(request: Request) -> None:
    if request.query_params:
        name = next(iter(request.query_params))
        raise InvalidRequest(f"{name[:80]}: with this content type options go into the body, not the query")


async def _whole(request: Request, limit: int) -> bytes:
    return (await _gathered(request, limit)).getvalue()


async def _gathered(request: Request, limit: int) -> io.BytesIO:
    """The body, held once: a list of pieces to be joined would be twice."""
    body = io.BytesIO()
    async for chunk in _bounded(request, limit):
        body.write(chunk)
    return body


async def _bounded(request: Request, limit: int) -> AsyncIterator[bytes]:
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise too_large(limit)
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
        if total > limit:
            raise too_large(limit)
        yield chunk


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"The document is larger than {limit / (1 << 20):g} MiB.")
