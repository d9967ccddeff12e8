from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from layout_models import build

from gateway.document import Detection, Pixels
from gateway.layout import direct

SIZES = [(1654, 2339), (640, 200), (64, 64)]


@pytest.fixture(scope="module", params=["V2", "V3"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    import paddlex

    kind: Literal["V2", "V3"] = request.param
    folder: Path = build(kind, tmp_path_factory.mktemp(kind))
    return paddlex.create_model(
        f"PP-DocLayout{kind}", str(folder), engine="onnxruntime", device="cpu", threshold=0.3, layout_nms=True
    )


def noise(width: int, height: int) -> Pixels:
    return np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)


def as_predicted(model: Any, page: Pixels, detection: Detection) -> list[dict[str, Any]]:
    (answer,) = model.predict(
        [np.ascontiguousarray(page[..., ::-1])],
        threshold=detection.threshold,
        layout_unclip_ratio=detection.unclip,
        layout_merge_bboxes_mode=detection.merge,
        layout_shape_mode=detection.shape,
        filter_overlap_boxes=False,
    )
    return list(answer["boxes"])


def plain(boxes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: np.asarray(value).tolist() for key, value in box.items()} for box in boxes]


@pytest.mark.parametrize(
    "detection",
    [
        Detection(),
        Detection(threshold=0.75),
        Detection(threshold=0.99),
        Detection(threshold={14: 0.96, 22: 0.1}),
        Detection(unclip=(1.1, 1.2), merge="large"),
        Detection(shape="poly"),
    ],
    ids=repr,
)
def test_finds_what_predict_finds(model: Any, detection: Detection) -> None:
    """Boxes, scores, orders and outlines are those of PaddleX's `predict`, in a batch and with every rule changed."""
    assert direct.fits(model)
    pages = [noise(*size) for size in SIZES]
    together = direct.found(model, pages, detection)
    assert [plain(boxes) for boxes in together] == [plain(as_predicted(model, page, detection)) for page in pages]


def test_keeps_away_from_a_model_with_another_input(model: Any) -> None:
    """A model that wants its input otherwise, or is not run that way, is left to PaddleX."""

    class Otherwise:
        pre_ops = (*model.pre_ops[:2], *model.pre_ops[3:])
        runner = model.runner

    assert not direct.fits(Otherwise())
    assert not direct.fits(object())
