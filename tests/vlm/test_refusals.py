from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from gateway.vlm.refusals import Refusal, refusal, retry_after, shortened


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error":{"message":"no","type":"T","param":"p","code":400}}', Refusal("no", "T", "p")),
        (b'{"error":"Unauthorized"}', Refusal('{"error":"Unauthorized"}')),
        (b'{"detail":"Not Found"}', Refusal('{"detail":"Not Found"}')),
        (b"Internal Server Error", Refusal("Internal Server Error")),
        (b"[]", Refusal("[]")),
        (b"\xff", Refusal("�")),
    ],
    ids=repr,
)
def test_an_error_body_of_any_shape_is_understood(body: bytes, expected: Refusal) -> None:
    """vLLM has four of them, and a proxy in between has its own."""
    assert refusal(body) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), ("7", 7.0), ("soon", None), ("-1", None), ("Mon, 01 Jan 2024 00:00:00 GMT", 0.0)],
)
def test_a_retry_after_is_seconds_or_nothing(value: str | None, expected: float | None) -> None:
    """Nonsense is taken for none, the past for now."""
    assert retry_after(value) == expected


def test_a_retry_after_may_be_a_date() -> None:
    """Then it is the time until that date."""
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert 3500 < (retry_after(date) or 0) <= 3600


def test_a_backends_words_are_logged_without_pictures_and_bounded() -> None:
    """vLLM may echo the whole request."""
    text = shortened(f"bad: data:image/jpeg;base64,{'QUJD' * 900} " + "words " * 900)
    assert "QUJDQUJD" not in text and "<base64>" in text
    assert len(text) < 600
