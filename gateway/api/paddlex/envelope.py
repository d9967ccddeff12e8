"""The envelope of PaddleX's answers, `logId`, `errorCode`, `errorMsg` and `result`, around results and errors."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.render import dump


def success(log_id: str, pages: Sequence[bytes], **more: Any) -> list[bytes]:
    """The envelope around `layoutParsingResults`, pages that are JSON already, and what `more` the result has.

    In parts, so that the pictures of a long document are not copied over and over.
    """
    head = dump({"logId": log_id})[:-1] + b',"result":{"layoutParsingResults":['
    rest = dump(more)[1:]
    tail = (b"]," + rest if more else b"]}") + b',"errorCode":0,"errorMsg":"Success"}'
    separated = [part for page in pages for part in (b",", page)][1:]
    return [head, *separated, tail]


def failure(log_id: str, status: int, message: str) -> bytes:
    return dump({"logId": log_id, "errorCode": status, "errorMsg": message})


class Envelopes:
    """ASGI around the application: problems that answer `paths` leave in the envelope.

    A request's id is its `logId`, unless its body asked for another (`log_id` in the scope's state).
    """

    def __init__(self, app: ASGIApp, paths: Collection[str]) -> None:
        self._app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in self._paths:
            await self._app(scope, receive, send)
            return
        start: Message | None = None

        async def enveloped(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_problem(message):
                start = message
            elif start is None:
                await send(message)
            else:
                body = _translated(message["body"], start, scope)
                await send(start)
                await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, enveloped)


def _is_problem(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type") == "application/problem+json"


def _translated(body: bytes, start: Message, scope: Scope) -> bytes:
    """The envelope for a problem, which is one message whole; `start` gets its status and headers."""
    problem = json.loads(body)
    log_id = scope["state"].get("log_id") or problem["request_id"]
    envelope = failure(log_id, start["status"], problem["detail"])
    headers = MutableHeaders(raw=start["headers"])
    headers["content-type"] = "application/json"
    headers["content-length"] = str(len(envelope))
    return envelope


async def send_json(send: Send, parts: Sequence[bytes]) -> None:
    """The whole answer of a call that succeeded."""
    length = str(sum(map(len, parts))).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
