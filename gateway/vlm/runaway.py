"""Notices, while an answer comes, that it repeats itself without end: a known failure of this model family.

An answer runs away when its end consists of copies of one unit, longer than anything that a page has. How long that is
depends on what is repeated: a sentence stands there a few times, a leader of dots goes over some lines, and of the
rows and cells of a table many are equal.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.vlm.counting import first_copy

_STEP: Final = 32
"""Characters between two looks, and of the answer's end that is looked for further up."""

_LONGEST_UNIT: Final = 1000
_COPIES: Final = 5
_WORDS: Final = 600
"""Characters of repeated words, as far as the first reading goes."""

_SIGNS: Final = 1200
"""Characters of repeated signs and digits: a dozen lines of dots."""

_ROWS: Final = 100
_CELLS: Final = 80
"""Equal cells without an end of the row."""

_COUNTED: Final = 200
"""Copies that are numbered and equal otherwise; no page has so many lines."""

_COUNTED_END: Final = 16_000
"""Characters of the answer's end in which they are counted, and between two such looks."""
_COUNTED_STEP: Final = 1000

_GUESSES: Final = 4

_CELL = re.compile(r"<(?:[fel]|u|x)cel>")
_ROW_END: Final = "<nl>"

_REST_OF_TAG = re.compile(r"[^<>]*>")
_REST_OF_WORD = re.compile(r"(?<=\w)\w*")


class Runaway:
    """An answer as it comes; `patience` stretches how often words may be repeated."""

    def __init__(self, patience: float = 1.0) -> None:
        self.text = ""
        """What came."""
        self._words = int(_WORDS * patience)
        self._next = min(self._words, _SIGNS)
        self._copies = int(_COUNTED * patience)
        self._next_count = 5 * self._copies

    def feed(self, piece: str) -> bool:
        """Take what came next; True as soon as the answer runs away. Costs a look at the last 1,000 characters for
        every 32 that come, and nothing for short answers."""
        self.text += piece
        if len(self.text) < self._next:
            return False
        self._next = len(self.text) + _STEP
        return any(self._endless(period) for period in _periods(self.text)) or self._counts()

    def _counts(self) -> bool:
        if len(self.text) < self._next_count:
            return False
        self._next_count = len(self.text) + _COUNTED_STEP
        return first_copy(self.text[-_COUNTED_END:], self._copies) is not None

    def trimmed(self) -> str:
        """The text up to the end of the first copy of what it ends with; a word or a tag is not cut in two."""
        for period in _periods(self.text):
            if self._endless(period):
                end = len(self.text) - _repeated(self.text, period)
                in_tag = self.text.rfind("<", 0, end) > self.text.rfind(">", 0, end)
                rest = (_REST_OF_TAG if in_tag else _REST_OF_WORD).match(self.text, end)
                return self.text[: rest.end() if rest and rest.end() - end < period else end].rstrip()
        until = first_copy(self.text, self._copies)
        return self.text if until is None else self.text[:until].rstrip()

    def _endless(self, period: int) -> bool:
        """Whether the copies of the last `period` characters are too many."""
        repeated = _repeated(self.text, period)
        if repeated < (_COPIES - 1) * period:
            return False
        run = self.text[-repeated - period :]
        unit = run[-period:]
        if _ROW_END in 2 * unit:
            return run.count(_ROW_END) >= _ROWS
        if _CELL.search(2 * unit):
            return sum(1 for _ in _CELL.finditer(run)) >= _CELLS
        return len(run) >= (self._words if any(map(str.isalpha, unit)) else max(_SIGNS, self._words))


def _periods(text: str) -> list[int]:
    """Lengths that the unit at the end of `text` may have, shortest first.

    The end is looked for further up. Where it is found but what is before it differs, the unit is longer than that:
    the next guess must have that difference in it too.
    """
    found, end = [], _STEP
    for _ in range(_GUESSES):
        at = text.rfind(text[-end:], max(0, len(text) - _LONGEST_UNIT - end), len(text) - 1)
        if at < 0:
            break
        period = len(text) - end - at
        found.append(period)
        end = _repeated(text, period) + 1
        if end > min(len(text), _LONGEST_UNIT):
            break
    return found


def _repeated(text: str, period: int) -> int:
    """How many characters at the end of `text` equal those `period` before them."""
    size = len(text)
    low, high = 0, period
    while high <= size - period and text[size - high :] == text[size - period - high : size - period]:
        low, high = high, 2 * high
    high = min(high, size - period + 1)
    while high - low > 1:
        middle = (low + high) // 2
        if text[size - middle :] == text[size - period - middle : size - period]:
            low = middle
        else:
            high = middle
    return low
