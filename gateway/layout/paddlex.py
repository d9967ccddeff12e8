"""PP-DocLayoutV2 and V3, loaded and run by PaddleX as its PaddleOCR-VL pipelines do."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from gateway.document import AS_THE_MODEL_DOES, BBox, Detection, Pixels, Polygon, Region
from gateway.errors import LayoutUnavailable
from gateway.layout import direct
from gateway.layout.detector import numbered

log = logging.getLogger(__name__)

PIPELINES = {"PP-DocLayoutV2": "PaddleOCR-VL", "PP-DocLayoutV3": "PaddleOCR-VL-1.5"}
"""The PaddleX pipeline whose thresholds, NMS and merge modes go with a model."""

_RULES = ("threshold", "layout_nms", "layout_unclip_ratio", "layout_merge_bboxes_mode")
_ONNX = "onnxruntime"
_GPU_BATCH = 4
"""V3's masks come to 48 MB a page."""


class PaddleXLayout:
    """One of PaddleX's layout models.

    `model_dir` is a local folder, "" the model in PaddleX's cache or, the first time, from a hub. `device` is
    `cpu`, `gpu` or `gpu:N`; "" is the GPU where onnxruntime has one, and what PaddleX thinks best with other engines.
    Raises `LayoutUnavailable` when PaddleX or the engine is not installed or the model does not load and run.
    """

    def __init__(self, model_name: str, model_dir: str = "", engine: str = _ONNX, device: str = "") -> None:
        if model_name not in PIPELINES:
            raise LayoutUnavailable(f"{model_name}: not one of the layout models {', '.join(PIPELINES)}.")
        import_paddlex()
        _use_one_thread()
        self.name = model_name
        try:
            self._model = _create(model_name, model_dir, engine, device)
            self._nms = self._model.layout_nms  # PaddleX takes a caller's False for "as configured"
            self._direct = direct.fits(self._model)
            self.max_batch = _GPU_BATCH if _on_gpu(self._model, engine, device) else 1
            self.detect([np.full((64, 64, 3), 255, np.uint8)])
        except Exception as exc:  # PaddleX and its engines raise anything, bare Exception included
            raise LayoutUnavailable(f"{model_name} could not be loaded with the engine {engine}: {exc}") from exc

    def detect(self, pages: Sequence[Pixels]) -> list[tuple[Region, ...]]:
        """The regions of each page; V3 outlines those that are no upright rectangles with a polygon."""
        return self.detect_as(pages, AS_THE_MODEL_DOES)

    def detect_as(self, pages: Sequence[Pixels], detection: Detection) -> list[tuple[Region, ...]]:
        """As `detect`, with other thresholds, NMS, merging or outlines."""
        self._model.layout_nms = self._nms if detection.nms is None else detection.nms
        found = direct.found(self._model, pages, detection) if self._direct else self._predicted(pages, detection)
        return [
            numbered(_region(box, page.shape[1], page.shape[0]) for box in boxes)
            for page, boxes in zip(pages, found, strict=True)
        ]

    def _predicted(self, pages: Sequence[Pixels], detection: Detection) -> list[list[dict[str, Any]]]:
        """PaddleX's own way, for engines that run a model otherwise."""
        import cv2

        answers = self._model.predict(
            [cv2.cvtColor(page, cv2.COLOR_RGB2BGR) for page in pages],
            batch_size=len(pages),
            threshold=detection.threshold,
            layout_unclip_ratio=detection.unclip,
            layout_merge_bboxes_mode=detection.merge,
            layout_shape_mode=detection.shape,
            filter_overlap_boxes=False,
        )
        return [answer["boxes"] for answer in answers]


def unusable(model_name: str, model_dir: str, engine: str) -> str | None:
    """Why `PaddleXLayout` could not be loaded without a download, or None if nothing speaks against it."""
    for package in ("paddlex", _ONNX) if engine == _ONNX else ("paddlex",):
        if find_spec(package) is None:
            return f"{package} is not installed"
    if not model_dir and not _cached(model_name, engine).is_dir():
        return f"there is no {model_name} for {engine} on this machine"
    return None


def _cached(model_name: str, engine: str) -> Path:
    import_paddlex()
    from paddlex.utils.cache import CACHE_DIR

    return Path(CACHE_DIR) / "official_models" / (f"{model_name}_onnx" if engine == _ONNX else model_name)


def import_paddlex() -> None:
    """Raises `LayoutUnavailable` where PaddleX is not installed; its lines go into our log."""
    try:
        import paddlex  # noqa: F401
    except ImportError as exc:
        raise LayoutUnavailable(
            "PaddleX is not installed: it comes with the extra paddlex (pip install 'paddleocr-vl-service[paddlex]')."
        ) from exc
    logger = logging.getLogger("paddlex")  # it brings a coloured handler of its own; its lines belong in our log
    logger.handlers.clear()
    logger.propagate = True


def _use_one_thread() -> None:
    """OpenCV's own threads wait for work by spinning, which costs more of busy cores than they bring to one picture."""
    import cv2

    cv2.setNumThreads(1)


def _create(model_name: str, model_dir: str, engine: str, device: str) -> Any:
    import paddlex
    from paddlex.inference import load_pipeline_config

    rules = load_pipeline_config(PIPELINES[model_name])["SubModules"]["LayoutDetection"]
    return paddlex.create_model(
        model_name,
        model_dir or None,
        engine=engine,
        device=device or best_device(engine),
        **{rule: rules[rule] for rule in _RULES},
    )


def best_device(engine: str) -> str | None:
    """The GPU where onnxruntime has one; None lets PaddleX choose for other engines."""
    if engine != _ONNX:
        return None
    import onnxruntime

    return "gpu" if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else "cpu"


def _on_gpu(model: Any, engine: str, wanted: str) -> bool:
    if engine != _ONNX:
        return str(model.device).startswith("gpu")
    provider: str = model.runner.session.get_providers()[0]
    log.info("The layout model runs on onnxruntime's %s.", provider)
    on_gpu = provider != "CPUExecutionProvider"
    if wanted.startswith("gpu") and not on_gpu:  # onnxruntime itself goes on without a word where CUDA does not load
        raise RuntimeError(f"{wanted} was asked for, and onnxruntime can use the CPU only")
    return on_gpu


def _region(box: Mapping[str, Any], width: int, height: int) -> Region:
    x0, y0, x1, y1 = (int(side) for side in box["coordinate"])
    bbox = (x0, y0, x1, y1)
    outline = box.get("polygon_points")
    polygon = None if outline is None else _polygon(outline, bbox, width, height)
    return Region(box["label"], bbox, float(box["score"]), polygon=polygon)


def _polygon(points: Iterable[Iterable[float]], bbox: BBox, width: int, height: int) -> Polygon | None:
    """The outline within the page, None for the upright rectangle that `bbox` says already."""
    x0, y0, x1, y1 = bbox
    polygon = tuple((min(max(float(x), 0.0), width), min(max(float(y), 0.0), height)) for x, y in points)
    whole = {(round(x), round(y)) for x, y in polygon}
    return None if whole == {(x0, y0), (x1, y0), (x1, y1), (x0, y1)} else polygon
