"""The OpenAI dialect of the embedded recogniser: what of vLLM's API a gateway needs, in vLLM's shapes."""

from __future__ import annotations

import io
import json
import logging
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import numpy as np
from anyio import from_thread
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from PIL import Image, UnidentifiedImageError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import tally
from gateway.api.middleware import RequestLog
from gateway.cpu_backend.reader import Reader
from gateway.document import Pixels, Task
from gateway.errors import InvalidBase64, RegionFailed, one_error
from gateway.intake.source import decode_base64

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 << 20
MAX_PIXELS = 50_000_000
QUEUE = 512
"""Crops that may wait; a gateway keeps fewer in flight."""

TASKS = {
    "OCR:": Task.OCR,
    "Table Recognition:": Task.TABLE,
    "Formula Recognition:": Task.FORMULA,
    "Chart Recognition:": Task.CHART,
    "Seal Recognition:": Task.SEAL,
    "Spotting:": Task.SPOTTING,
}


class Refused(Exception):
    """A request that is answered with an OpenAI error."""

    def __init__(self, status: int, kind: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.message, self.param = status, kind, message, param


@dataclass(frozen=True, slots=True)
class Asked:
    """One chat completion: the picture's file, what to read it as, and how to answer."""

    picture: bytes
    task: Task
    language: str
    stream: bool
    usage: bool


class Completions:
    """Reads one crop at a time for each of `seats` places; callers beyond the queue are told 503."""

    def __init__(self, reader: Reader, model: str, seats: int) -> None:
        self._reader = reader
        self._model = model
        self._seats = anyio.CapacityLimiter(seats)

    async def answer(self, request: Request) -> Response:
        """The completion a request asks for. Raises `Refused`."""
        asked = await self._asked(request)
        if self._seats.statistics().tasks_waiting >= QUEUE:
            raise Refused(503, "ServiceUnavailableError", f"{QUEUE} crops are waiting already.")
        return _Completion(partial(self._read, asked), asked, self._model)

    async def _asked(self, request: Request) -> Asked:
        raw = b""
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > MAX_BODY_BYTES:
                raise Refused(413, "BadRequestError", f"The body is larger than {MAX_BODY_BYTES} bytes.")
        return await anyio.to_thread.run_sync(_parsed, raw, self._model, request.headers.get("content-language", ""))

    async def _read(self, asked: Asked) -> str:
        async with self._seats:
            return await anyio.to_thread.run_sync(self._read_now, asked)

    def _read_now(self, asked: Asked) -> str:
        # A caller that has left is noticed between two steps.
        return self._reader.read(_pixels(asked.picture), asked.task, asked.language, from_thread.check_cancelled)


class _Completion(Response):
    """Reads while the caller is there, then answers plain or streamed."""

    def __init__(self, read: partial[Any], asked: Asked, model: str) -> None:
        super().__init__()
        self._read = read
        self._asked = asked
        self._model = model

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with one_error():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_until_gone, receive, tasks.cancel_scope)
                text = await self._text()
                response = self._streamed(text) if self._asked.stream else self._plain(text)
                await response(scope, receive, send)
                tasks.cancel_scope.cancel()

    async def _text(self) -> str:
        try:
            return str(await self._read())
        except RegionFailed as error:
            raise Refused(400, "BadRequestError", error.detail) from error

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": self._model}

    def _plain(self, text: str) -> Response:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop", "stop_reason": None}
        return JSONResponse({**self._head("chat.completion"), "choices": [choice], "usage": _usage(text)})

    def _streamed(self, text: str) -> Response:
        head = self._head("chat.completion.chunk")
        deltas: list[tuple[dict[str, str], str | None]] = [
            ({"role": "assistant", "content": ""}, None),
            *(({"content": line}, None) for line in text.splitlines(keepends=True)),
            ({"content": ""}, "stop"),
        ]
        events = [
            {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]}
            for delta, reason in deltas
        ]
        if self._asked.usage:
            events.append({**head, "choices": [], "usage": _usage(text)})
        lines = [*(json.dumps(event, ensure_ascii=False) for event in events), "[DONE]"]
        body = "".join(f"data: {line}\n\n" for line in lines)
        return Response(body, media_type="text/event-stream")


def cpu_backend_app(reader: Reader, model: str, seats: int) -> ASGIApp:
    """`/health`, `/v1/models` and `/v1/chat/completions` over a reader that is loaded at the start."""
    completions = Completions(reader, model, seats)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await anyio.to_thread.run_sync(reader.load)
        yield

    app = FastAPI(
        title="Embedded recogniser", lifespan=lifespan, docs_url=None, redoc_url=None, telemetry={"tracing": False}
    )
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http_exception)

    @app.get("/health")
    async def health() -> Response:
        return Response()

    @app.get("/v1/models")
    async def models() -> Response:
        entry = {"id": model, "object": "model", "created": 0, "owned_by": "gateway", "root": model, "parent": None}
        return JSONResponse({"object": "list", "data": [entry]})

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        try:
            return await completions.answer(request)
        except ClientDisconnect:
            return Response(status_code=499)

    return RequestLog(app)


def _parsed(raw: bytes, model: str, language: str) -> Asked:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise Refused(400, "BadRequestError", "The body is not valid JSON.") from exc
    if not isinstance(body, dict):
        raise Refused(400, "BadRequestError", "The body must be a JSON object.")
    if body.get("model") not in (None, "", model):
        raise Refused(404, "NotFoundError", f"The model `{body['model']}` does not exist.", "model")
    options = body.get("stream_options") or {}
    return Asked(
        picture=_picture(body),
        task=_task(body),
        language=language,
        stream=body.get("stream") is True,
        usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def _parts(body: dict[str, Any], kind: str) -> list[Any]:
    try:
        return [part[kind] for part in body["messages"][-1]["content"] if part["type"] == kind]
    except (KeyError, IndexError, TypeError) as exc:
        raise Refused(400, "BadRequestError", "messages: one message with a picture and a prompt", "messages") from exc


def _task(body: dict[str, Any]) -> Task:
    prompt = "".join(str(text) for text in _parts(body, "text")).strip()
    task = TASKS.get(prompt)
    if task is None:
        raise Refused(400, "BadRequestError", f"The prompts are {', '.join(TASKS)}", "messages")
    return task


def _picture(body: dict[str, Any]) -> bytes:
    pictures = _parts(body, "image_url")
    if len(pictures) != 1 or not isinstance(pictures[0], dict) or not isinstance(pictures[0].get("url"), str):
        raise Refused(400, "BadRequestError", "messages: exactly one picture is read at a time", "messages")
    url: str = pictures[0]["url"]
    if not url.startswith("data:"):
        raise Refused(400, "BadRequestError", "image_url: only base64 data URLs are read", "image_url")
    try:
        return decode_base64(url)
    except InvalidBase64 as exc:
        raise Refused(400, "BadRequestError", "Non-base64 digit found", "image_url") from exc


def _pixels(picture: bytes) -> Pixels:
    try:
        with Image.open(io.BytesIO(picture)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise RegionFailed(f"The picture has more than {MAX_PIXELS} pixels.")
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        raise RegionFailed("cannot identify image file") from exc


def _usage(text: str) -> dict[str, int]:
    """This recogniser has no tokens: a word or a cell counts as one, a picture as none."""
    words = len(text.split())
    return {"prompt_tokens": 0, "completion_tokens": words, "total_tokens": words}


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _error(status: int, kind: str, message: str, param: str | None = None) -> Response:
    return JSONResponse({"error": {"message": message, "type": kind, "param": param, "code": status}}, status)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    tally.request().failed(error.kind, error.message)
    return _error(error.status, error.kind, error.message, error.param)


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, "HTTPException", str(error.detail))
