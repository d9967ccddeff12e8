"""Lines to text, by RapidOCR and Tesseract together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from gateway.cpu_backend.rapid import RapidOcr
from gateway.cpu_backend.script import (
    CYRILLIC,
    LatinReading,
    fits_cyrillic,
    is_ideographic,
    plainly_cyrillic,
    prefers_tesseract,
    unified,
    with_dash,
)
from gateway.cpu_backend.tesseract import Guess, Tesseract
from gateway.document import Pixels
from gateway.errors import RegionFailed

Checkpoint = Callable[[], None]
"""Called between steps; what it raises ends the reading."""

_DATA = {
    "be": "bel", "bg": "bul", "kk": "kaz", "ky": "kir", "mk": "mkd", "mn": "mon",
    "sr": "srp", "tg": "tgk", "tt": "tat", "uk": "ukr",
}  # fmt: skip
"""Tesseract's data for a language other than Russian, where it is installed."""


class LineRecogniser:
    """Reads upright lines: Latin letters, Chinese and Japanese by RapidOCR, Cyrillic by Tesseract, if there is one."""

    def __init__(self, rapid: RapidOcr, tesseract: Tesseract | None) -> None:
        self._rapid = rapid
        self._tesseract = tesseract if tesseract is not None and "rus" in tesseract.languages else None

    @property
    def reads_cyrillic(self) -> bool:
        return self._tesseract is not None

    def read(self, lines: Sequence[Pixels], language: str, checkpoint: Checkpoint) -> list[str]:
        """The text of each line, "" where none was made out.

        `language`, ISO 639 or "" (a region may follow, `ru-RU`), says what to expect: with a language written in
        Cyrillic Tesseract reads first, with another one it is not asked; without one it is asked where RapidOCR's
        reading is in doubt.
        Raises `RegionFailed` where the language wants Tesseract and there is none.
        """
        texts = self._read(lines, language, checkpoint) if lines else []
        return texts if any(map(is_ideographic, texts)) else [with_dash(text) for text in texts]

    def _read(self, lines: Sequence[Pixels], language: str, checkpoint: Checkpoint) -> list[str]:
        language = language.lower().partition("-")[0].strip()
        if language in CYRILLIC:
            if self._tesseract is None:
                raise RegionFailed(
                    "Cyrillic text needs Tesseract with its Russian data, and they are not installed here "
                    "(Debian: tesseract-ocr, tesseract-ocr-rus).",
                    code="language_unavailable",
                )
            return self._tesseract_first(self._tesseract, lines, language, checkpoint)
        if self._tesseract is None or language:
            return [self._latin(line, checkpoint).text for line in lines]
        longest = max(range(len(lines)), key=lambda index: lines[index].shape[1])
        sample = self._latin(lines[longest], checkpoint)
        if len(lines) > 2 and sample.sparse:
            return self._tesseract_first(self._tesseract, lines, "ru", checkpoint)
        latin = [sample if i == longest else self._latin(line, checkpoint) for i, line in enumerate(lines)]
        return self._rapid_first(self._tesseract, lines, latin, checkpoint)

    def _latin(self, line: Pixels, checkpoint: Checkpoint) -> LatinReading:
        checkpoint()
        return LatinReading.of(self._rapid.read(line), line)

    def _tesseract_first(
        self, tesseract: Tesseract, lines: Sequence[Pixels], language: str, checkpoint: Checkpoint
    ) -> list[str]:
        """RapidOCR is asked only for lines that may not be Cyrillic."""
        texts = []
        for line, guess in zip(lines, tesseract.read(lines, self._data(tesseract, language), checkpoint), strict=True):
            latin = None if plainly_cyrillic(guess) else self._latin(line, checkpoint)
            texts.append(unified(guess.text) if latin is None or fits_cyrillic(latin, guess) else latin.text)
        return texts

    def _rapid_first(
        self, tesseract: Tesseract, lines: Sequence[Pixels], latin: Sequence[LatinReading], checkpoint: Checkpoint
    ) -> list[str]:
        """Tesseract is asked for lines in doubt; if one of those is Cyrillic, for the others too."""
        texts = [reading.text for reading in latin]
        doubtful = [index for index, reading in enumerate(latin) if not reading.beyond_doubt]
        for index, guess in self._guesses(tesseract, lines, doubtful, checkpoint):
            if prefers_tesseract(latin[index], guess):
                texts[index] = unified(guess.text)
        settled = [index for index in range(len(lines)) if texts[index] == latin[index].text]
        if len(settled) < len(lines):
            for index, guess in self._guesses(tesseract, lines, settled, checkpoint):
                if plainly_cyrillic(guess) or fits_cyrillic(latin[index], guess):
                    texts[index] = unified(guess.text)
        return texts

    def _guesses(
        self, tesseract: Tesseract, lines: Sequence[Pixels], chosen: Sequence[int], checkpoint: Checkpoint
    ) -> Iterator[tuple[int, Guess]]:
        guesses = tesseract.read([lines[index] for index in chosen], self._data(tesseract, "ru"), checkpoint)
        return zip(chosen, guesses, strict=True)

    def _data(self, tesseract: Tesseract, language: str) -> str:
        own = _DATA.get(language[:2], "rus")
        wanted = [own if own in tesseract.languages else "rus", "eng"]
        return "+".join(data for data in wanted if data in tesseract.languages)
