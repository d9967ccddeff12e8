"""RapidOCR with the models that its wheel carries: Chinese, Japanese and Latin letters, no Cyrillic.

Nothing is downloaded: both models are named by their paths, so a missing one is an error at once.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from gateway.cpu_backend.lines import Line
from gateway.document import Pixels

_DETECTOR = "PP-OCRv6_det_small.onnx"
_RECOGNISER = "PP-OCRv6_rec_small.onnx"

_LONGEST_SIDE = 1280
"""Pixels; larger pictures are scaled down to it before lines are looked for, smaller ones never up."""

_MARGIN = 24
"""Pixels put around a picture before lines are looked for."""

_LONGEST_LINE = 8000
"""Pixels; RapidOCR would shrink a longer picture, height included."""


class RapidOcr:
    """Finds lines and reads them. One object serves several threads, as no call changes its options."""

    def __init__(self, threads: int = 1) -> None:
        """Load both models, which takes a second. Raises `FileNotFoundError` if the wheel does not carry them."""
        self._find = _engine(threads, {"Global.use_rec": False, "Det.model_path": _model(_DETECTOR)})
        self._read = _engine(threads, {"Global.use_det": False, "Rec.model_path": _model(_RECOGNISER)})
        blank = np.full((48, 320, 3), 255, np.uint8)
        self._find(blank)
        self._read(blank)

    def find(self, picture: Pixels) -> list[Line]:
        """The lines of text on a picture, in no order; none on a blank one."""
        quads = self._find(_with_margin(picture[:, :, ::-1])).boxes
        if quads is None:
            return []
        edge = np.array(picture.shape[1::-1], np.float32)
        return [Line(np.clip(np.asarray(quad, np.float32) - np.float32(_MARGIN), 0, edge)) for quad in quads]

    def read(self, line: Pixels) -> str:
        """The text of one upright line; letters outside the model's alphabet are left out without a word."""
        texts = self._read(np.ascontiguousarray(line[:, :, ::-1])).txts
        return str(texts[0]).strip() if texts else ""


def _with_margin(picture: Pixels) -> Pixels:
    """The picture in a frame of its edges' colour: a line that touches the edge is easily missed."""
    import cv2

    edges = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    colour = [int(channel) for channel in np.median(edges, axis=0)]
    framed = cv2.copyMakeBorder(picture, _MARGIN, _MARGIN, _MARGIN, _MARGIN, cv2.BORDER_CONSTANT, value=colour)
    return np.asarray(framed, np.uint8)


def _model(name: str) -> str:
    import rapidocr

    path = Path(rapidocr.__file__).parent / "models" / name
    if not path.is_file():
        raise FileNotFoundError(f"This rapidocr does not carry {name}.")
    return str(path)


def _engine(threads: int, params: dict[str, object]) -> Any:
    from rapidocr import RapidOCR

    logger = logging.getLogger("RapidOCR")  # it brings a coloured handler of its own; its lines belong in our log
    logger.handlers.clear()
    logger.propagate = True
    return RapidOCR(
        params={
            "Global.use_cls": False,  # it turned upright lines over
            "Global.log_level": "error",  # a blank picture is a warning to it
            "Global.max_side_len": _LONGEST_LINE,
            "Det.limit_type": "max",
            "Det.limit_side_len": _LONGEST_SIDE,
            "Rec.rec_batch_num": 1,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            **params,
        }
    )
