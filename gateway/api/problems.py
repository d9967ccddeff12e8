"""Errors as `application/problem+json` (RFC 9457): the one place where words become HTTP statuses."""

from __future__ import annotations

import json
import logging
import math

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from gateway import errors, metrics, tally

log = logging.getLogger(__name__)

STATUS: dict[type[errors.GatewayError], int] = {
    errors.GatewayError: 500,
    errors.BadDocument: 400,
    errors.Unauthorized: 401,
    errors.FetchRefused: 403,
    errors.NotAcceptable: 406,
    errors.BodyTooSlow: 408,
    errors.TooLarge: 413,
    errors.Unsupported: 415,
    errors.InvalidRequest: 422,
    errors.Overloaded: 429,
    errors.FetchFailed: 502,
    errors.Busy: 503,
    errors.DeadlineExceeded: 504,
}
"""A class speaks for its subclasses."""

TITLES = {
    400: "Unreadable document",
    401: "Unauthorized",
    403: "Fetch refused",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    408: "Request timeout",
    413: "Too large",
    415: "Unsupported document",
    422: "Invalid request",
    429: "Overloaded",
    431: "Headers too large",
    500: "Internal error",
    502: "Fetch failed",
    503: "Unavailable",
    504: "Deadline exceeded",
}
HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}


def status_of(error: errors.GatewayError) -> int:
    """The status of an error: that of the nearest class it descends from."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def problem(status: int, code: str, detail: str, request_id: str, headers: dict[str, str] | None = None) -> Response:
    """The answer that every error of the application is; counted by its code."""
    metrics.ERRORS.labels(code).inc()
    tally.request().failed(code, detail)
    body = {
        "type": f"urn:paddleocr-vl-service:problem:{code}",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
        "error": detail,
    }
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return Response(content, status, headers, media_type="application/problem+json")


def of_error(error: errors.GatewayError, request_id: str) -> Response:
    """A `GatewayError` as a problem; what is worth asking again says when."""
    status = status_of(error)
    headers = {}
    if isinstance(error, errors.Busy):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.BodyTooSlow):
        headers["Connection"] = "close"
    return problem(status, error.code, error.detail, request_id, headers)


def request_id_of(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))


async def _gateway_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.GatewayError)
    if status_of(error) >= 500:
        log.warning("request failed: %s: %s", error.code, error.detail)
    return of_error(error, request_id_of(request))


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = HTTP_CODES.get(error.status_code, "invalid_request")
    headers = dict(error.headers) if error.headers else None
    return problem(error.status_code, code, str(error.detail), request_id_of(request), headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("a defect ended %s %s", request.method, request.url.path, exc_info=error)
    return problem(500, "internal_error", "The service failed; its log tells more.", request_id_of(request))


def install(app: FastAPI) -> None:
    """Every way an exception can leave the application ends in a problem."""
    app.add_exception_handler(errors.GatewayError, _gateway_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _unexpected)
