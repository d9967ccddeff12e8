"""Which of two readings of a line to believe: RapidOCR's, which knows no Cyrillic, or Tesseract's, which does.

RapidOCR leaves out most Cyrillic letters and takes a few for Latin ones, and is sure of itself. So neither its confidence
nor its letters tell the script; how much text it finds on a line's length does, and for short lines Tesseract's word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from gateway.cpu_backend.tesseract import Guess

CYRILLIC = frozenset(
    "ab abk av ava ba bak be bel bg bul ce che chv cv kk kaz ky kir mk mkd mac mn mon os oss ru rus sr srp tg tgk tt tat "
    "uk ukr".split()
)
"""ISO 639 codes of languages written in Cyrillic, their two and their three letters."""

_TWINS = str.maketrans("ABCEHKMOPTXYaceopxyiI", "АВСЕНКМОРТХУасеорхуіІ")
_SINGLE_TWINS = {**_TWINS, ord("n"): "п"}
_LATIN_TWINS = {cyrillic: latin for latin, cyrillic in _TWINS.items()}
_LOOKALIKES = str.maketrans("авсенкмортхугийпзбшяуь", "abcehkmoptxyruunz6wryb")
_LATIN_ONLY = frozenset("bdfghijlqstvwzßäöüåæøéèêëàâçñíóúýčšžřěłąęşğıőű")
"""Lower-case letters that RapidOCR hardly ever sees in Cyrillic ones."""

_SPARSE = 1.15
"""Characters to a stretch of line as long as the line is high; Latin text has 1.2 to 2.8, Cyrillic as read 0 to 1.1."""

_HALLUCINATED = 40.0
"""Of 100; Tesseract is this unsure of letters that it makes of stains and handwriting."""

_HAN = re.compile(r"[\u2e80-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_WORD = re.compile(r"[^\W\d_]+")


def density(text: str, width: float, height: float) -> float:
    """Characters, blanks left out, to a stretch as long as the line is high."""
    return len("".join(text.split())) / max(width / height, 1.0)


def sparse(text: str, width: float, height: float) -> bool:
    """Whether a line must hold letters that RapidOCR does not know; ideographs are as wide as high."""
    return not _HAN.search(text) and density(text, width, height) < _SPARSE


def beyond_doubt(text: str, width: float, height: float) -> bool:
    """Whether RapidOCR's reading can stand without asking Tesseract."""
    if _HAN.search(text):
        return True
    if sparse(text, width, height):
        return False
    letters = [letter for letter in text if letter.isalpha()]
    telling = sum(letter in _LATIN_ONLY for letter in letters)
    return not letters or (telling >= 2 and telling >= 0.15 * len(letters))


def cyrillic(guess: Guess) -> bool:
    """Whether Tesseract saw Cyrillic, or the sign that comes with it."""
    letters = [letter for letter in guess.text if letter.isalpha()]
    amount = sum(map(_is_cyrillic, letters))
    return ("№" in guess.text or 2 * amount > len(letters) > 0) and guess.confidence >= _HALLUCINATED


def prefers_tesseract(rapid: str, guess: Guess, *, is_sparse: bool) -> bool:
    """Whether a line in doubt is Cyrillic. One that could be either is Latin: `TOTAL` is no `ТОТАL`."""
    if not cyrillic(guess):
        return False
    if is_sparse or "№" in guess.text:
        return True
    return not _alike(rapid, guess.text) and _unlike_latin(guess.text)


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


def _unlike_latin(text: str) -> bool:
    """Whether a good part of the letters has no Latin twin."""
    letters = [letter for letter in text if letter.isalpha()]
    own = sum(_is_cyrillic(letter) and ord(letter) not in _LATIN_TWINS for letter in letters)
    return own >= 0.25 * len(letters)


def _alike(one: str, other: str) -> bool:
    """Whether two readings could be of the same picture, were it for their letters' shapes."""
    return _shape(one) == _shape(other)


def _shape(text: str) -> Sequence[str]:
    return ["".join(word.lower().translate(_LOOKALIKES)) for word in _WORD.findall(text)]
