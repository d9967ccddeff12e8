"""Plain ASGI around the application: request ids, keys, the span and the one log line of each request."""

from __future__ import annotations

import hmac
import logging
import re
import time
import uuid
from collections.abc import Sequence
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import metrics, tally, traces
from gateway.api import problems
from gateway.errors import Unauthorized

log = logging.getLogger("gateway.access")

REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
GONE = 499
"""Logged when the caller left before its answer began (nginx's number for it)."""


class RequestLog:
    """Gives every request its id, on the answer and in every log line, its span, and at its end the one line that sums
    it up, without the query."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        with tally.counting() as counted, _span(scope, answer.headers) as span:
            ids = {"request_id": answer.request_id}
            if trace_id := traces.trace_id():
                ids["trace_id"] = trace_id
            with structlog.contextvars.bound_contextvars(**ids):
                try:
                    await self._app(scope, receive, answer.send)
                except Exception:
                    counted.failed(*(counted.error or ("internal_error", "")))
                    raise
                finally:
                    _count(answer, time.monotonic() - counted.begun)
                    _sum_up(scope, answer, counted, span)


class _Answer:
    """What a caller is told: `status`, and whether it was told to its end."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.headers = Headers(scope=scope)
        given = self.headers.get("x-request-id", "")
        self.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = self.request_id
        self.dialect = metrics.dialect(scope["path"])
        self.status, self.ended = GONE, False
        self._send = send
        self._sent = metrics.RESPONSE_BYTES.labels(self.dialect)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["X-Request-ID"] = self.request_id
        else:
            self._sent.inc(len(message.get("body", b"")))
        await self._send(message)
        self.ended = message["type"] == "http.response.body" and not message.get("more_body")


def _polls(scope: Scope) -> bool:
    return str(scope["path"]).startswith(("/health", "/metrics"))


def _span(scope: Scope, headers: Headers) -> traces.Span:
    if _polls(scope):
        return traces.NOBODY
    return traces.request("HTTP", headers, **{"http.request.method": scope["method"], "url.path": _path(scope)})


def _path(scope: Scope) -> str:
    """As it was escaped: decoded it could hold line breaks."""
    return str(scope["raw_path"].decode("ascii", "replace"))


def _count(answer: _Answer, seconds: float) -> None:
    metrics.REQUESTS.labels(answer.dialect, str(answer.status)).inc()
    metrics.REQUEST_SECONDS.labels(answer.dialect).observe(seconds)


def _sum_up(scope: Scope, answer: _Answer, counted: tally.Tally, span: traces.Span) -> None:
    """The summary line; polls have none, unless something is wrong with the poll itself."""
    told: dict[str, Any] = {
        "method": scope["method"],
        "path": _path(scope),
        "dialect": answer.dialect,
        "status": answer.status,
        "ms": round((time.monotonic() - counted.begun) * 1000, 1),
        "outcome": _outcome(answer, counted),
        **({"error": counted.error[1]} if counted.error else {}),
        **counted.told(),
    }
    quiet = _polls(scope) and answer.status in (200, 503)
    log.log(logging.DEBUG if quiet else logging.INFO, "%(method)s %(path)s %(status)d", told, extra=told)
    if route := getattr(scope.get("route"), "path", ""):
        span.rename(f"{scope['method']} {route}")
        span.set(**{"http.route": route})
    span.set(**{"http.response.status_code": answer.status})
    span.set(request_id=answer.request_id, dialect=answer.dialect, outcome=told["outcome"], **counted.told())
    if counted.error and (answer.status >= 500 or answer.status < 400):  # a caller's mistake is no failure of ours
        span.fail(*counted.error)


def _outcome(answer: _Answer, counted: tally.Tally) -> str:
    if counted.error:
        return counted.error[0]
    if not answer.ended:
        return "gone"
    return "partial" if counted.usage.failed_regions else "ok"


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
