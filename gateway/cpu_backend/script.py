"""Which of two readings of a line to believe: RapidOCR's, which knows no Cyrillic, or Tesseract's, which does.

RapidOCR leaves out most Cyrillic letters, takes some for Latin ones, and is sure of itself. So its confidence does not
tell the script. How much of a line's ink it made into characters does; where it read a line whole, its letters often
do, and else Tesseract's word.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import numpy as np

from gateway.cpu_backend.tesseract import Guess
from gateway.document import Pixels

CYRILLIC = frozenset(
    ("ab", "abk", "av", "ava", "ba", "bak", "be", "bel", "bg", "bul", "ce", "che", "cv", "chv", "kk", "kaz", "ky",
     "kir", "mac", "mk", "mkd", "mn", "mon", "os", "oss", "ru", "rus", "sr", "srp", "tat", "tg", "tgk", "tt",
     "uk", "ukr")
)  # fmt: skip
"""ISO 639 codes of languages written in Cyrillic, their two and their three letters."""

_TWINS = str.maketrans("ABCEHKMOPTXYaceopxyiI", "АВСЕНКМОРТХУасеорхуіІ")
_SINGLE_TWINS = str.maketrans("ABCEHKMOPTXYaceopxyiIn", "АВСЕНКМОРТХУасеорхуіІп")
_LIKE_LATIN = frozenset("АВСЕНКМОРТХУасеорхуіІЅЈ")
_SHAPES = str.maketrans("авсенкмортхугийпзбшяуь", "abcehkmoptxyruunz6wryb")
_LATIN_ONLY = frozenset("DFGLQSVWZfghijlqstvwzßäöüåæøéèêëàâñíóúýčšžřěłąęşğőű")
"""Letters that RapidOCR hardly ever sees in Cyrillic ones."""

_READ = 0.65
"""Characters to a glyph: of 1,500 rendered lines, Latin ones had at least 0.67, nine in ten Cyrillic ones under 0.6."""

_UNSURE = 50.0
_SURE = 60.0
"""Of 100: Tesseract is less than the one sure of what it makes of stains, and over the other of most printed words."""

_SPECKS = frozenset(".,:;'`\"-–—·…_|")
"""Characters too small to be counted as glyphs."""

_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_ODD_CASE = re.compile(r"[^\W\d_][A-ZΓΦ]|[^\W\d_]\d|\d[^\W\d_]")
"""Capitals inside words, digits beside letters: `HeT`, `BCETO`, `3ameyaioT`. A word in usual case is what it seems."""

_STROKES = frozenset("一ー")
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class LatinReading:
    """What RapidOCR made of a line; `sparse` if that leaves out a good part of its ink."""

    text: str
    sparse: bool

    @classmethod
    def of(cls, text: str, line: Pixels) -> LatinReading:
        """An ideograph is many glyphs, so a line with some is never sparse."""
        if _IDEOGRAPH.search(text):
            return cls(text, False)
        characters = sum(not letter.isspace() and letter not in _SPECKS for letter in text)
        return cls(text, characters < _READ * _glyphs(line))

    @property
    def beyond_doubt(self) -> bool:
        """Whether it can stand without asking Tesseract."""
        if self.sparse:
            return False
        letters = [letter for letter in self.text if letter.isalpha()]
        telling = sum(letter in _LATIN_ONLY for letter in letters)
        return not letters or bool(_IDEOGRAPH.search(self.text)) or (telling >= 2 and telling >= 0.15 * len(letters))


def is_ideographic(text: str) -> bool:
    """Whether there are Chinese, Japanese or Korean letters in it, other than a lone stroke."""
    return bool(_IDEOGRAPH.search(text)) and text not in _STROKES


def with_dash(text: str) -> str:
    """The text of a line among lines without ideographs: what looks like the number one in Chinese is a dash there."""
    return "—" if text in _STROKES else text


def prefers_tesseract(latin: LatinReading, guess: Guess) -> bool:
    """Whether a line in doubt is Cyrillic. One that could be either is Latin: `TOTAL` is no `ТОТАL`."""
    if not _mostly_cyrillic(guess):
        return False
    if latin.sparse or "№" in guess.text:
        return True
    only_latin = sum(letter in _LATIN_ONLY for letter in latin.text)
    if guess.confidence < _SURE or not _only_cyrillic(guess.text) or only_latin > 0.1 * len(latin.text):
        return False
    return bool(_ODD_CASE.search(latin.text)) and _shape(latin.text) != _shape(guess.text)


def plainly_cyrillic(guess: Guess) -> bool:
    """Whether a line among Cyrillic ones is Cyrillic, in whole or in good part, by Tesseract's word alone."""
    words = [word for word in _WORD.findall(guess.text) if len(word) > 2]
    letters = sum(len(word) for word in words if _only_cyrillic(word))
    return guess.confidence >= _SURE and letters > 0.15 * sum(map(str.isalpha, guess.text))


def fits_cyrillic(latin: LatinReading, guess: Guess) -> bool:
    """Whether any other line among Cyrillic ones is Tesseract's: not if it is Latin, or a number read whole."""
    if latin.sparse:
        return guess.text != ""
    return _mostly_cyrillic(guess) and any(map(str.isalpha, latin.text))


def _mostly_cyrillic(guess: Guess) -> bool:
    """Whether Tesseract saw Cyrillic, or the sign that comes with it."""
    letters = [letter for letter in guess.text if letter.isalpha()]
    amount = sum(map(_is_cyrillic, letters))
    return ("№" in guess.text or 2 * amount > len(letters) > 0) and guess.confidence >= _UNSURE


def _only_cyrillic(text: str) -> int:
    """How many Cyrillic letters without a Latin twin there are."""
    return sum(_is_cyrillic(letter) and letter not in _LIKE_LATIN for letter in text)


def unified(text: str) -> str:
    """Tesseract's text with Latin letters in Cyrillic words turned into their Cyrillic twins."""
    mostly = "№" in text or sum(map(_is_cyrillic, text)) * 2 > sum(map(str.isalpha, text))
    return _WORD.sub(lambda match: _unified(match.group(), mostly), text)


def _unified(word: str, in_cyrillic: bool) -> str:
    amount = sum(map(_is_cyrillic, word))
    if amount == len(word) or (amount == 0 and not (in_cyrillic and len(word) == 1)):
        return word
    twin = word.translate(_SINGLE_TWINS if len(word) == 1 else _TWINS)
    return twin if all(map(_is_cyrillic, twin)) else word


def _is_cyrillic(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith("CYRILLIC")


def _shape(text: str) -> list[str]:
    return [word.lower().translate(_SHAPES) for word in _WORD.findall(text)]


def _glyphs(line: Pixels) -> int:
    """How many letters and digits an upright line seems to have: islands of ink that stand side by side."""
    import cv2

    grey = cv2.cvtColor(line, cv2.COLOR_RGB2GRAY)
    _, ink = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    rows = np.flatnonzero(ink.any(axis=1))
    if not len(rows):
        return 0
    _, _, islands, _ = cv2.connectedComponentsWithStats(ink)
    height = rows[-1] - rows[0] + 1
    ends: list[tuple[int, int]] = []
    for x, _, width, tall, _ in sorted(islands[1:].tolist()):
        if tall < 0.25 * height or width > 4 * height:
            continue
        if ends and x < ends[-1][1] - 0.3 * min(width, ends[-1][1] - ends[-1][0]):
            ends[-1] = ends[-1][0], max(ends[-1][1], x + width)
        else:
            ends.append((x, x + width))
    return len(ends)
