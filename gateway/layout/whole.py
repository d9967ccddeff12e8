"""What of a page is no text and stays whole: tables, pictures, formulas."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import Literal

import numpy as np

from gateway.document import Pixels
from gateway.layout.level import Level
from gateway.layout.parts import Box, Hint, Part, area, shared
from gateway.layout.ruling import ruled_tables
from gateway.layout.textlines import Quad

_PICTURE_TEXT = 0.08
"""Of its area: a figure with more text than that is text."""

_TALL = 2.5
"""Times the usual height of a line: what is taller is no evidence of text in a picture."""

_SENTENCE = 8.0
"""Times its height: a longer line is no label in a picture; two of them are text."""

_DRAWN = 0.03
"""Of a picture's area outside its labels, what at least differs from its surroundings by 20 grey levels."""

_PICTURE_SHARE = 0.8
"""Of the page: a larger figure is a photograph of a page."""


def parts(level: Level, quads: Sequence[Quad], hints: Sequence[Hint]) -> list[Part]:
    """Lines, and instead of those inside them tables, formulas and pictures."""
    lines = [level.part(quad) for quad in quads]
    text_height = median(line.height for line in lines) if lines else 20.0
    tables = [Part("table", box, box) for box in ruled_tables(level.pixels, text_height)]
    whole = [*tables]
    likely = [line for line in lines if line.height < _TALL * text_height]
    for hint in sorted(hints, key=lambda hint: -hint.score):
        kind = _kind(hint, likely, level)
        if kind is not None and all(shared(hint.box, part.box) < 0.1 * area(hint.box) for part in whole):
            whole.append(Part(kind, hint.box, hint.box, score=hint.score))
    return [
        *whole,
        *(line for line in lines if all(shared(line.box, part.box) < 0.5 * area(line.box) for part in whole)),
    ]


def _kind(hint: Hint, lines: Sequence[Part], level: Level) -> Literal["table", "image", "display_formula"] | None:
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
