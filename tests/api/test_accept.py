"""The form of an answer follows the Accept header."""

from __future__ import annotations

import pytest

from gateway.api.accept import JSON, MARKDOWN, NDJSON, negotiate
from gateway.errors import NotAcceptable


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/*", MARKDOWN),
        ("TEXT/MARKDOWN", MARKDOWN),
        ("application/x-ndjson, */*;q=0.1", NDJSON),
        ("application/json;q=0.2, text/markdown;q=0.9", MARKDOWN),
        ("application/json;q=0, */*", MARKDOWN),
        ("text/html, application/xhtml+xml, */*;q=0.8", JSON),
        ("text/markdown;charset=utf-8", MARKDOWN),
    ],
)
def test_the_best_liked_form_is_sent(accept: str, form: str) -> None:
    """Quality decides, the more specific range first, JSON among equals."""
    assert negotiate(accept) == form


@pytest.mark.parametrize(
    "accept", ["text/html", "application/json;q=0", "image/*", "*/*;q=0", ";;;,", "*/*;q=nan", "application/json;q=x"]
)
def test_what_cannot_be_sent_is_refused(accept: str) -> None:
    """A caller who accepts none of the forms is told so, and which there are."""
    with pytest.raises(NotAcceptable, match="text/markdown"):
        negotiate(accept)
