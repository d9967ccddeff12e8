"""How far a reading of a page is from what stands on it.

The score is the share of characters wrong: the Levenshtein distance between the text of all blocks in the order of the
answer and the text of all blocks of the truth, over the length of the truth. White space, dashes and quotes are folded.
A block read twice, missed or out of order counts with all its characters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGES = Path(__file__).parent / "pages"

_FOLDED = str.maketrans({**dict.fromkeys("—–−‒―‐", "-"), **dict.fromkeys("«»“”„‟", '"'), **dict.fromkeys("‘’‚`´", "'")})

Grid = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Truth:
    """What stands on a page: its text in reading order, and its tables cell by cell."""

    text: str
    tables: tuple[Grid, ...]

    @classmethod
    def beside(cls, page: Path) -> Truth:
        """From the JSON of the page's name."""
        blocks = json.loads(page.with_suffix(".json").read_text())
        return cls(
            fold(" ".join(block["text"] for block in blocks)),
            tuple([[fold(cell) for cell in row] for row in block["rows"]] for block in blocks if "rows" in block),
        )


@dataclass(frozen=True)
class Score:
    """Characters wrong of those on the page, cells exact of those in its tables."""

    wrong: int
    characters: int
    exact: int
    cells: int

    @property
    def percent(self) -> float:
        return 100 * self.wrong / self.characters


def score(truth: Truth, texts: Iterable[str], tables: Sequence[Grid]) -> Score:
    """The score of blocks in the order they were read, and of the tables among them, which are in `texts` too."""
    exact = sum(
        fold(cell) == wanted
        for table, wanted_table in zip(tables, truth.tables, strict=False)
        for row, wanted_row in zip(table, wanted_table, strict=False)
        for cell, wanted in zip(row, wanted_row, strict=False)
    )
    cells = sum(len(row) for table in truth.tables for row in table)
    return Score(distance(truth.text, fold(" ".join(texts))), len(truth.text), exact, cells)


def fold(text: str) -> str:
    """Text with white space, dashes and quotes made alike."""
    return " ".join(text.translate(_FOLDED).split())


def distance(one: str, other: str) -> int:
    """Levenshtein's, by Myers' bit vectors (in Hyyrö's form): a column at a time, as bits of one long number."""
    if not one:
        return len(other)
    places: dict[str, int] = {}
    for index, letter in enumerate(one):
        places[letter] = places.get(letter, 0) | 1 << index
    last, mask = 1 << (len(one) - 1), (1 << len(one)) - 1
    up, down, result = mask, 0, len(one)
    for letter in other:
        here = places.get(letter, 0)
        vertical = here | down
        horizontal = (((here & up) + up) ^ up) | here
        rises, falls = down | ~(horizontal | up), up & horizontal
        result += bool(rises & last) - bool(falls & last)
        rises = rises << 1 | 1
        up, down = (falls << 1 | ~(vertical | rises)) & mask, rises & vertical & mask
    return result
