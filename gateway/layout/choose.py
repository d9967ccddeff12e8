"""Which detector finds the regions."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Literal

from gateway.errors import LayoutUnavailable
from gateway.layout.cpu import CpuLayout
from gateway.layout.detector import Detector
from gateway.layout.paddlex import PaddleXLayout, unusable
from gateway.layout.whole_page import WholePage

log = logging.getLogger(__name__)

Kind = Literal["auto", "paddlex", "cpu", "whole-page"]


def load_detector(
    kind: Kind,
    *,
    model_name: str = "PP-DocLayoutV3",
    model_dir: str = "",
    engine: str = "onnxruntime",
    device: str = "",
) -> Detector:
    """Load a detector; all but `kind` are for `paddlex`. Takes seconds and belongs into the thread that will own it.

    `auto` is `paddlex` where it is installed and its model is on this machine, else `cpu` where that is installed,
    else `whole-page`. It downloads nothing, and a model that is there and broken is an error, not a reason to read
    worse. Raises `LayoutUnavailable`, which names the extra to install if that is what is missing.
    """
    if kind == "auto":
        kind = _best(model_name, model_dir, engine)
    if kind == "paddlex":
        return PaddleXLayout(model_name, model_dir, engine, device)
    if kind == "cpu":
        return _cpu()
    return WholePage()


def _best(model_name: str, model_dir: str, engine: str) -> Literal["paddlex", "cpu", "whole-page"]:
    against_paddlex = unusable(model_name, model_dir, engine)
    if against_paddlex is None:
        log.info("Layout detector: paddlex, which is installed and has its model here.")
        return "paddlex"
    missing = [package for package in ("rapid_layout", "rapidocr", "onnxruntime") if find_spec(package) is None]
    if not missing:
        log.info("Layout detector: cpu, because %s.", against_paddlex)
        return "cpu"
    log.warning(
        "Layout detector: whole-page, because %s and %s is not installed.", against_paddlex, " and ".join(missing)
    )
    return "whole-page"


def _cpu() -> Detector:
    try:
        return CpuLayout()
    except (ImportError, FileNotFoundError) as exc:
        raise LayoutUnavailable(
            f"The cpu detector is not installed ({exc}): it comes with the extra cpu "
            "(pip install 'paddleocr-vl-service[cpu]') and with scripts/install.sh, which adds rapid-layout."
        ) from exc
