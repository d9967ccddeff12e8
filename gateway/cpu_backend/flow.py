"""Which line breaks of a crop are the paper's alone: the text of a paragraph flows, a list or a receipt does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

_WIDE = 1.4
"""Times the width of a letter in the denser rows: one with wider letters has gaps, as between a receipt's columns."""

_INDENT = 1.5
"""Heights of a row by which rows of one paragraph may begin apart (its first row is indented further)."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of text as it was read; `left`, `right` and `height` in pixels, `pieces` how many parts it was found in."""

    text: str
    left: float
    right: float
    height: float
    pieces: int = 1

    @property
    def letter_width(self) -> float:
        return (self.right - self.left) / max(1, len(self.text))


def flowed(rows: Sequence[Row]) -> str:
    """The rows from top to bottom; a break is kept where the next word would still have fitted into the row."""
    rows = [row for row in rows if row.text]
    if not rows:
        return ""
    left, right = median(row.left for row in rows), max(row.right for row in rows)
    letter = sorted(row.letter_width for row in rows)[len(rows) // 4]
    text = rows[0].text
    for row, below in pairwise(rows):
        seam = "" if _ideographic(row.text[-1]) and _ideographic(below.text[0]) else " "
        text += (seam if _goes_on(row, below, left, right, letter) else "\n") + below.text
    return text


def _goes_on(row: Row, below: Row, left: float, right: float, letter: float) -> bool:
    if any(one.pieces > 1 or "__" in one.text or one.letter_width > _WIDE * letter for one in (row, below)):
        return False  # columns, or a form to fill in
    if abs(below.left - left) > _INDENT * below.height or row.left < left - _INDENT * row.height:
        return False
    word = below.text[:1] if _ideographic(below.text[0]) else below.text.split(maxsplit=1)[0]
    return right - row.right < (len(word) + 1) * letter


def _ideographic(letter: str) -> bool:
    """Han, kana and their punctuation, which are set without blanks and may break anywhere."""
    return "\u3000" <= letter <= "\u9fff" or "\uff00" <= letter <= "\uffef"
