"""Answers that run away."""

from __future__ import annotations

import pytest

from gateway.assemble.repetition import without_repetition


@pytest.mark.parametrize(
    ("text", "trimmed"),
    [
        ("In the beginning " + "and the amount of the year " * 20, "In the beginning"),
        ("of years " * 19 + "of years", "of years of years"),
        ("lifelong" * 20, "lifelong"),
        ("ab" * 40, "ab"),
        ("again\n" * 9 + "end\nagain", "again"),
    ],
)
def test_runaway_text_is_cut(text: str, trimmed: str) -> None:
    """Phrases at the end of a line, a line of one unit, a text of one line: what repeats goes, but never all of it."""
    assert without_repetition(text, 50) == trimmed


@pytest.mark.parametrize(
    "text",
    [
        "x" * 49,
        "A long enough sentence of which nothing is said twice, and which is not to be touched.",
        "\n".join(["again"] * 9 + ["one more line, and one that is different"]),
        "\n".join(["again"] * 10 + ["another"] * 3),
        "a text of its own that is longer than what repeats, " + "-" * 40,
    ],
)
def test_other_text_stays(text: str) -> None:
    """Short texts, and those in which the repetition is the smaller part."""
    assert without_repetition(text, 50) == text


def test_a_long_answer_takes_no_long_time() -> None:
    """Quadratic work on half a million characters would run into the test's time limit."""
    text = "no repetition here: " + "".join(f"{number} " for number in range(80_000))
    assert without_repetition(text, 50) == text
    assert without_repetition("start " + "abcdefghij" * 50_000, 50) == "start "
