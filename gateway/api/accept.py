"""Which of its three forms an answer of `/ocr` takes (RFC 9110, section 12.5.1)."""

from __future__ import annotations

import re

from gateway.errors import NotAcceptable

JSON = "application/json"
MARKDOWN = "text/markdown"
NDJSON = "application/x-ndjson"
FORMS = (JSON, MARKDOWN, NDJSON)
"""In order of preference among equals."""

QUALITY = re.compile(r"[01](\.\d{0,3})?")


def negotiate(accept: str) -> str:
    """The form the `Accept` header likes best; JSON where it does not say. Raises `NotAcceptable`."""
    if not accept.strip():
        return JSON
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    best = max(FORMS, key=lambda form: _quality(form, ranges))
    if _quality(best, ranges) <= 0:
        raise NotAcceptable(f"This answers {', '.join(FORMS)}.")
    return best


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            quality = float(value) if QUALITY.fullmatch(value.strip()) else 0.0
    return name, quality


def _quality(form: str, ranges: list[tuple[str, float]]) -> float:
    """The most specific range that covers `form` decides."""
    for name in (form, form.partition("/")[0] + "/*", "*/*"):
        qualities = [quality for given, quality in ranges if given == name]
        if qualities:
            return max(qualities)
    return 0.0
