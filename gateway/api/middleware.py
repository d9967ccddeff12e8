"""Plain ASGI around the application: request ids, keys, and one log line a request."""

from __future__ import annotations

import hmac
import logging
import re
import time
import uuid
from collections.abc import Sequence

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import metrics
from gateway.api import problems
from gateway.errors import Unauthorized

log = logging.getLogger("gateway.access")

REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
GONE = 499
"""Logged when the caller left before its answer began (nginx's number for it)."""


class RequestLog:
    """Gives every request its id, on the answer and in every log line, and writes the access line without the query."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status, dialect = GONE, metrics.dialect(scope["path"])
        sent = metrics.RESPONSE_BYTES.labels(dialect)

        async def stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            else:
                sent.inc(len(message.get("body", b"")))
            await send(message)

        begun = time.monotonic()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, stamped)
            finally:
                metrics.REQUESTS.labels(dialect, str(status)).inc()
                metrics.REQUEST_SECONDS.labels(dialect).observe(time.monotonic() - begun)
                quiet = status < 400 and scope["path"].startswith(("/health", "/metrics"))
                log.log(
                    logging.DEBUG if quiet else logging.INFO,
                    "%s %s %d",
                    scope["method"],
                    scope["raw_path"].decode("ascii", "replace"),  # decoded it could hold line breaks
                    status,
                    extra={"status": status, "ms": round((time.monotonic() - begun) * 1000, 1)},
                )


class Keys:
    """With keys configured, all paths but `/health*` want one."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        self._keys = [key.encode() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._open(scope["path"]) or self._fits(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        error = Unauthorized("A key is needed: `Authorization: Bearer …` or `X-API-Key: …`.")
        await problems.of_error(error, scope["state"]["request_id"])(scope, receive, send)

    def _open(self, path: str) -> bool:
        return not self._keys or path == "/health" or path.startswith("/health/")

    def _fits(self, headers: Headers) -> bool:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        shown = bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        # Every key is compared, so that the time taken does not tell which one nearly fitted.
        return any([hmac.compare_digest(shown.encode("latin-1"), key) for key in self._keys])
