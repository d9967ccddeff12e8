"""The embedded recogniser: a crop and a task in, text out."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median

import numpy as np

from gateway.cpu_backend.blanks import find_blanks, mended, underscores
from gateway.cpu_backend.flow import Row, flowed
from gateway.cpu_backend.lines import Line, rows, tilt, turning, without_slivers
from gateway.cpu_backend.rapid import RapidOcr
from gateway.cpu_backend.recogniser import Checkpoint, LineRecogniser
from gateway.cpu_backend.ruling import Table, find_table
from gateway.cpu_backend.table import Written, beside, by_gaps, lines_by_cell, otsl, stacked
from gateway.cpu_backend.tesseract import Tesseract
from gateway.document import Pixels, Task

log = logging.getLogger(__name__)

_APART = 2
"""Heights of a row; parts of it that are further apart are columns."""

_LEVEL = 0.003
"""Radians; a table tilted by less is found as it is."""


def _unasked() -> None:
    """Nobody to ask whether the answer is still wanted."""


class Reader:
    """Reads crops. `load` first, in any thread; then `read` from as many threads at once as there are cores."""

    def __init__(self, threads: int = 1) -> None:
        """`threads` are those of one model run."""
        self._threads = threads
        self._loaded: tuple[RapidOcr, LineRecogniser] | None = None

    @property
    def ready(self) -> bool:
        return self._loaded is not None

    @property
    def reads_cyrillic(self) -> bool:
        """False until loaded, and without Tesseract's Russian data."""
        return self._loaded is not None and self._loaded[1].reads_cyrillic

    def load(self) -> None:
        """Load the models, which takes a second or two. Raises what is wrong with the installation."""
        rapid = RapidOcr(self._threads)
        recogniser = LineRecogniser(rapid, Tesseract.installed())
        if not recogniser.reads_cyrillic:
            log.warning("Tesseract with Russian data is not installed: Cyrillic text cannot be read.")
        self._loaded = rapid, recogniser

    def read(
        self, picture: Pixels, task: Task = Task.OCR, language: str = "", checkpoint: Checkpoint = _unasked
    ) -> str:
        """The text of a crop, in the form the task asks for.

        Lines of text one below the other; tables in OTSL; spotting with location tokens, in thousandths of the crop's
        sides. Formulas, charts and seals are read as the plain text in them. "" for a crop without text.
        `language` is an ISO 639 code or "". Raises `RegionFailed` where the language cannot be read here, and
        what `checkpoint` raises, which is called between steps.
        """
        if self._loaded is None:
            raise RuntimeError("read before load")
        rapid, recogniser = self._loaded
        reading = _Reading(picture, recogniser, language, checkpoint)
        lines = without_slivers(rapid.find(picture), picture.shape[0])
        checkpoint()
        if task is Task.TABLE:
            return reading.table(lines)
        return reading.spots(lines) if task is Task.SPOTTING else reading.text(lines)


class _Reading:
    """One crop being read."""

    def __init__(self, picture: Pixels, recogniser: LineRecogniser, language: str, checkpoint: Checkpoint) -> None:
        self._picture = picture
        self._recogniser = recogniser
        self._language = language
        self._checkpoint = checkpoint

    def text(self, lines: Sequence[Line]) -> str:
        read = dict(zip(lines, self._texts([line.picture(self._picture) for line in lines]), strict=True))
        blanks = find_blanks(self._picture, lines)
        letter_width = sum(line.width for line in lines) / max(sum(map(len, read.values())), 1)
        read |= {blank: underscores(blank, letter_width) for blank in blanks}
        return flowed([_row(row, read) for row in rows([*lines, *blanks])])

    def spots(self, lines: Sequence[Line]) -> str:
        height, width = self._picture.shape[:2]
        scale = np.array([1000 / width, 1000 / height])
        return "".join(
            f"<|TEXT_START|>{text}<|TEXT_END|><|LOC_BEGIN|>{_locations(line.quad * scale)}<|LOC_END|>"
            for row in self._with_texts(rows(lines), self._picture)
            for line, text in row
        )

    def table(self, lines: Sequence[Line]) -> str:
        """By its rules, with the text above and below them in rows of one cell; without any by the gaps in its text."""
        if not lines:
            return ""
        text_height = median(line.height for line in lines)
        views = [(self._picture, list(lines)), *_levelled(self._picture, lines)]
        tables = [find_table(picture, text_height) for picture, _ in views]
        cells = [len(table.cells) if table else 0 for table in tables]
        best = cells.index(max(cells))
        table, (picture, level) = tables[best], views[best]
        if table is None:
            return by_gaps(self._with_texts(rows(level), picture))
        above, inside, below = beside(table, level)
        return otsl(
            stacked(
                [" ".join(text for _, text in row) for row in self._with_texts(rows(above), picture)],
                self._cells(table, [line.moved(table.transform) for line in inside], text_height),
                [" ".join(text for _, text in row) for row in self._with_texts(rows(below), picture)],
            )
        )

    def _cells(self, table: Table, lines: Sequence[Line], text_height: float) -> list[Written]:
        by_cell = lines_by_cell(table, lines, text_height)
        texts = iter(self._texts([line.picture(table.picture) for cell in by_cell for line in cell]))
        return [
            Written(" ".join(filter(None, (next(texts) for _ in inside))).strip("| "), cell.rows, cell.columns)
            for cell, inside in zip(table.cells, by_cell, strict=True)
        ]

    def _with_texts(self, found: list[list[Line]], picture: Pixels) -> list[list[tuple[Line, str]]]:
        """The lines with their texts, those without any left out."""
        texts = iter(self._texts([line.picture(picture) for row in found for line in row]))
        read = [[(line, next(texts)) for line in row] for row in found]
        return [row for row in ([item for item in row if item[1]] for row in read) if row]

    def _texts(self, lines: Sequence[Pixels]) -> list[str]:
        return self._recogniser.read(lines, self._language, self._checkpoint)


def _row(row: Sequence[Line], read: Mapping[Line, str]) -> Row:
    """The parts of a row beside each other; a blank to fill in belongs to the text around it."""
    text = mended(" ".join(filter(None, (read[line] for line in row))))
    pieces = sum(1 for one, other in pairwise(row) if other.bounds[0] - one.bounds[2] > _APART * other.height)
    left, right = min(line.bounds[0] for line in row), max(line.bounds[2] for line in row)
    return Row(text, left, right, max(line.height for line in row), 1 + pieces)


def _levelled(picture: Pixels, lines: Sequence[Line]) -> list[tuple[Pixels, list[Line]]]:
    """The picture turned so that its lines run level, and the lines on it; [] for one that is level.

    The tilt of short lines is a rough guess, so this is another view of the picture, not always a better one.
    """
    import cv2

    angle = tilt(lines)
    if abs(angle) < _LEVEL:
        return []
    height, width = picture.shape[:2]
    wide = round(width * math.cos(angle) + height * abs(math.sin(angle)))
    high = round(height * math.cos(angle) + width * abs(math.sin(angle)))
    turn = turning(-angle, (width / 2, height / 2))
    turn[:2, 2] += (wide - width) / 2, (high - height) / 2
    level = cv2.warpPerspective(picture, turn, (wide, high), flags=cv2.INTER_CUBIC, borderValue=(255,) * 3)
    return [(np.asarray(level, np.uint8), [line.moved(turn) for line in lines])]


def _locations(corners: object) -> str:
    return "".join(f"<|LOC_{min(max(round(v), 0), 1000)}|>" for v in np.asarray(corners).ravel().tolist())
