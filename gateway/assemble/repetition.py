"""Runaway repetition, a known failure of this model family, cut from the end of an answer.

Rules and thresholds are PaddleX's (3.7.2, `truncate_repetitive_content`); but an answer that is nothing else keeps one
copy of what it repeats, so that nobody takes it for an empty region.
"""

from __future__ import annotations

from collections import Counter

_PHRASE_IN = 100
_PHRASE = 8
_PHRASES = 5
_UNIT_IN = 10
_UNITS = 10
_LINES = 10
_SHARE_OF_TEXT = 0.5
_SHARE_OF_LINES = 0.8


def without_repetition(text: str, shortest: int) -> str:
    """`text`, cut where it runs away; texts below `shortest` characters stay as they are.

    In a single line: five or more copies of at least 8 characters at its end that make up over half of it go; a line
    made of ten or more copies is one of them. In several lines: one line that makes up 80 % of ten or more stays alone.
    """
    stripped = text.strip()
    if len(text) < shortest or not stripped:
        return text
    if "\n" in stripped:
        return _one_line(text)
    if len(stripped) > _PHRASE_IN:
        prefix = _before_phrases(stripped)
        if prefix is not None:
            return prefix or stripped[: _period(stripped)]
    if len(stripped) > _UNIT_IN:
        period = _period(stripped)
        if len(stripped) // period >= _UNITS:
            return stripped[:period]
    return text


def _before_phrases(text: str) -> str | None:
    """What precedes the longest phrase that ends `text` five times over; None if it makes up less than half."""
    matches = _self_matches(text[::-1])
    for length in range(len(text) // _PHRASES, _PHRASE - 1, -1):
        if matches[length] >= (_PHRASES - 1) * length:
            repeated = (matches[length] // length + 1) * length
            return text[:-repeated] if repeated > len(text) * _SHARE_OF_TEXT else None
    return None


def _self_matches(text: str) -> list[int]:
    """For every place, how many characters from there equal the beginning (the Z function, linear)."""
    matches = [0] * len(text)
    left = right = 0
    for place in range(1, len(text)):
        length = min(matches[place - left], right - place) if place < right else 0
        while place + length < len(text) and text[length] == text[place + length]:
            length += 1
        matches[place] = length
        if place + length > right:
            left, right = place, place + length
    return matches


def _period(text: str) -> int:
    """The length of the shortest string that `text` consists of whole copies of."""
    return (text + text).index(text, 1)


def _one_line(text: str) -> str:
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    line, copies = Counter(lines).most_common(1)[0]
    return line if copies >= _LINES and copies / len(lines) >= _SHARE_OF_LINES else text
