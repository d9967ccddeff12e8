"""Copies of one unit that differ in numbers alone, which go up by one from each to the next: `1. Total 2. Total …`."""

from __future__ import annotations

import re
from typing import Final

_NUMBER = re.compile(r"([0-9]{1,9})")
_MOST_NUMBERS: Final = 4
"""In one copy, those that stay the same among them."""


def first_copy(text: str, least: int) -> int | None:
    """Where the first of the counted copies that `text` ends with ends, its next number excluded; None where there are
    fewer than `least`.

    A copy has words, or is a row of a table. The last number is left out, as more of it may be to come.
    """
    parts = _NUMBER.split(text)
    numbers, after = parts[1:-2:2], parts[2:-2:2]
    for size in range(1, _MOST_NUMBERS + 1):
        first = _first(numbers, after, size)
        if first is not None and len(numbers) - first >= least * size:
            until = parts[: 2 * (first + size) + 1]
            return sum(map(len, until)) - len(until[-1]) + _line_end(until[-1])
    return None


def _line_end(between: str) -> int:
    """How much of what stands between two copies belongs to the first: up to the end of its line or row."""
    ends = [between.rfind(end) + len(end) for end in ("<nl>", "\n") if end in between]
    return max(ends, default=len(between))


def _first(numbers: list[str], after: list[str], size: int) -> int | None:
    """The first number of the run at the end, of copies with `size` numbers each; None where nothing counts."""
    if not any(map(str.isalpha, "".join(after[-size:]))):
        return None
    steps: dict[int, int] = {}
    at = len(numbers) - 1 - size
    while at >= 0 and after[at] == after[at + size]:
        step = int(numbers[at + size]) - int(numbers[at])
        if step not in (0, 1) or steps.setdefault(at % size, step) != step:
            break
        at -= 1
    return at + 1 if any(steps.values()) else None
