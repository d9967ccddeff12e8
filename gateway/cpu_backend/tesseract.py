"""Tesseract's command line, which reads the Cyrillic that RapidOCR's models cannot.

A batch of lines costs one process. It gets single lines, as it loses tilted or ruled ones on larger pictures.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from gateway.document import Pixels

_LINE_HEIGHT = 64
"""Pixels that lines are scaled to, and then smoothed a little, which takes the noise of photographs away."""

_DPI = 300
"""Said to Tesseract, which otherwise guesses; lines of this height have about it."""

_LIMIT = 120.0
"""Seconds for one batch; a hundred lines take about two."""

_LOOK = 0.2
"""Seconds between two looks whether the answer is still wanted."""


class TesseractFailed(Exception):
    """Tesseract ended with an error or not in time."""


@dataclass(frozen=True, slots=True)
class Guess:
    """What Tesseract read in one line, and how sure it is of its words on average, 0 to 100."""

    text: str
    confidence: float


class Tesseract:
    """An installed Tesseract and the languages it has data for."""

    def __init__(self, command: str, languages: frozenset[str]) -> None:
        self._command = command
        self.languages = languages

    @classmethod
    def installed(cls) -> Tesseract | None:
        """The one on the search path, or None."""
        command = shutil.which("tesseract")
        if command is None:
            return None
        listed = subprocess.run([command, "--list-langs"], capture_output=True, text=True, timeout=30, check=False)
        return cls(command, frozenset(listed.stdout.split("\n")[1:]) - {""})

    def read(self, lines: Sequence[Pixels], languages: str, checkpoint: Callable[[], None]) -> list[Guess]:
        """A guess for each upright line, by the data of `languages` (`rus+eng`).

        What `checkpoint` raises ends Tesseract and goes on to the caller. Raises `TesseractFailed`.
        """
        if not lines:
            return []
        with TemporaryDirectory(prefix="lines-") as folder:
            listing = _write(lines, Path(folder))
            # two of its threads are slower than one, and here several processes run at once
            command = ["env", "OMP_THREAD_LIMIT=1", self._command, str(listing), "-"]
            table = _run([*command, "-l", languages, "--psm", "7", "--dpi", str(_DPI), "tsv"], checkpoint)
        return _guesses(table, len(lines))


def _write(lines: Sequence[Pixels], folder: Path) -> Path:
    """Each line in a file of its own, and a file that lists them, which is returned."""
    import cv2

    files = []
    for number, line in enumerate(lines):
        grey = cv2.cvtColor(line, cv2.COLOR_RGB2GRAY)
        width = max(round(grey.shape[1] * _LINE_HEIGHT / grey.shape[0]), 8)
        file = folder / f"{number}.pgm"
        scaled = cv2.resize(grey, (width, _LINE_HEIGHT), interpolation=cv2.INTER_CUBIC)
        if not cv2.imwrite(str(file), cv2.GaussianBlur(scaled, (0, 0), 1)):
            raise TesseractFailed("A line could not be written for Tesseract.")
        files.append(file)
    listing = folder / "lines.txt"
    listing.write_text("".join(f"{file}\n" for file in files))
    return listing


def _run(command: Sequence[str], checkpoint: Callable[[], None]) -> str:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(int(_LIMIT / _LOOK)):
            try:
                output, complaint = process.communicate(timeout=_LOOK)
            except subprocess.TimeoutExpired:
                _unless_unwanted(process, checkpoint)
                continue
            if process.returncode != 0:
                raise TesseractFailed(f"Tesseract ended with {process.returncode}: {complaint.strip()[-500:]}")
            return output
        process.kill()
    raise TesseractFailed(f"Tesseract took over {_LIMIT:g} s.")


def _unless_unwanted(process: subprocess.Popen[str], checkpoint: Callable[[], None]) -> None:
    try:
        checkpoint()
    except BaseException:
        process.kill()
        raise


def _guesses(table: str, amount: int) -> list[Guess]:
    """The words of a TSV answer, whose pages are the lines; the columns are named in its first row."""
    words: list[list[tuple[str, float]]] = [[] for _ in range(amount)]
    for row in table.splitlines()[1:]:
        level, page, *_, confidence, word = row.split("\t", 11)
        if level == "5" and word.strip():
            words[int(page) - 1].append((word.strip(), float(confidence)))
    return [
        Guess(" ".join(word for word, _ in line), fmean(confidence for _, confidence in line) if line else 0.0)
        for line in words
    ]
