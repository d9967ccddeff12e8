"""Lines of text on a page, by RapidOCR's detector, whose model its wheel carries: nothing is downloaded."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.document import Pixels

Quad = NDArray[np.float64]
"""Corners of a line, shape (4, 2): top left, top right, bottom right, bottom left, in pixels."""

_MODEL = "PP-OCRv6_det_small.onnx"

_LONGEST_SIDE = 1280
"""Pixels; larger pages are scaled down to it, which keeps 7 pt text of an A4 page."""


class TextLines:
    """Finds lines; one thread owns it."""

    def __init__(self, threads: int) -> None:
        """Load the model. Raises `FileNotFoundError` if the wheel does not carry it."""
        import rapidocr

        model = Path(rapidocr.__file__).parent / "models" / _MODEL
        if not model.is_file():
            raise FileNotFoundError(f"This rapidocr does not carry {_MODEL}.")
        logger = logging.getLogger("RapidOCR")  # it brings a coloured handler of its own; its lines belong in our log
        logger.handlers.clear()
        logger.propagate = True
        self._find: Any = rapidocr.RapidOCR(
            params={
                "Global.use_cls": False,
                "Global.use_rec": False,
                "Global.log_level": "error",  # a blank page is a warning to it
                "Det.model_path": str(model),
                "Det.limit_type": "max",
                "Det.limit_side_len": _LONGEST_SIDE,
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def find(self, page: Pixels) -> list[Quad]:
        """The lines of a page, in no order; none on a blank one."""
        quads = self._find(_wide_enough(page[:, :, ::-1])).boxes
        return [] if quads is None else [np.asarray(quad, np.float64) for quad in quads]


def _wide_enough(page: Pixels) -> Pixels:
    """The page with white below and beside it, if it is so thin that scaling would leave nothing of it."""
    height, width = page.shape[:2]
    least = max(64, max(height, width) // 50)
    missing = (0, max(least - height, 0)), (0, max(least - width, 0)), (0, 0)
    return np.pad(page, missing, constant_values=255)


def tilt(quads: Sequence[Quad]) -> float:
    """Radians clockwise that lines go down to their right: the median, longer lines weighing more."""
    angles = []
    for quad in quads:
        along, across = quad[1] - quad[0] + quad[2] - quad[3], quad[3] - quad[0]
        length = float(np.hypot(*along)) / 2
        if length > 3 * np.hypot(*across):
            angles.append((math.atan2(along[1], along[0]), length))
    half, before = sum(length for _, length in angles) / 2, 0.0
    for angle, length in sorted(angles):
        before += length
        if before >= half:
            return angle
    return 0.0


def letter_height(level: Pixels, box: Sequence[float]) -> float:
    """The height of a level line's small letters, in pixels: of the rows that have the most ink."""
    height, width = level.shape[:2]
    x0, y0, x1, y1 = (int(v) for v in np.clip(box, 0, (width, height, width, height)))
    grey = level[y0:y1, x0:x1, 1].astype(np.float32)
    if grey.size == 0:
        return 0.0
    darkest, paper = np.percentile(grey, (2, 80))
    ink = np.convolve((grey < (darkest + paper) / 2).sum(axis=1), np.ones(3) / 3, "same")
    return float(np.count_nonzero(ink > 0.4 * ink.max()))
