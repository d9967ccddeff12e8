"""Tiny stand-ins for PP-DocLayoutV2 and V3 in ONNX, with the signatures PaddleX 3.7.2 expects.

    in:  im_shape [B, 2], image [B, 3, 800, 800], scale_factor [B, 2], all float32; sizes are (height, width)
    out: boxes [B * Q, 8] (V2) or [B * Q, 7] (V3): class, score, x0, y0, x1, y1, order(, votes); count [B];
         V3 also masks [B * Q, 200, 200]

What they answer depends on the page's size (boxes are in its pixels), on its red (the right edge) and on whether it is
black (nothing found), so answers that were mixed up, or pages with red and blue swapped, are seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

LABELS = [
    *("abstract", "algorithm", "aside_text", "chart", "content", "display_formula", "doc_title", "figure_title"),
    *("footer", "footer_image", "footnote", "formula_number", "header", "header_image", "image", "inline_formula"),
    *("number", "paragraph_title", "reference", "reference_content", "seal", "table", "text", "vertical_text"),
    "vision_footnote",
]


@dataclass(frozen=True)
class Candidate:
    """A row of the model's output; `box` in parts of the page, its right edge for a page without red."""

    label: str
    score: float
    box: tuple[float, float, float, float]
    order: int


CANDIDATES = (
    Candidate("table", 0.9, (0.1, 0.5, 0.5, 0.7), order=4),
    Candidate("text", 0.8, (0.1, 0.3, 0.5, 0.4), order=3),
    Candidate("text", 0.7, (0.1, 0.301, 0.5, 0.4), order=2),  # the same text once more: falls to NMS
    Candidate("doc_title", 0.42, (0.1, 0.1, 0.5, 0.2), order=1),  # above its threshold of 0.4 (V2)
    Candidate("footer", 0.9, (0.1, 0.9, 0.5, 1.05), order=5),  # reaches beyond the page
    Candidate("image", 0.95, (0.1, 0.72, 0.5, 0.88), order=6),  # V3: a rhombus
    Candidate("chart", 0.25, (0.1, 0.8, 0.5, 0.9), order=0),  # below every threshold
)
KEPT = ("doc_title", "text", "table", "footer", "image")
"""The labels of a page that is not black, in the model's order."""

Output = tuple[str, int, list[str | int]]

RED_REACH = 0.4
SIDE = 200


def build(kind: Literal["V2", "V3"], folder: Path, candidates: Sequence[Candidate] = CANDIDATES) -> Path:
    """Write `inference.onnx` and `inference.yml` into the folder, as PaddleX's `model_dir` wants them."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_model(kind, candidates), folder / "inference.onnx")
    write_description(kind, folder)
    return folder


def write_description(kind: Literal["V2", "V3"], folder: Path) -> None:
    """Write `inference.yml`."""
    labels = "".join(f"- {label}\n" for label in LABELS)
    (folder / "inference.yml").write_text(
        f"mode: paddle\ndraw_threshold: 0.5\narch: DETR\nGlobal:\n  model_name: PP-DocLayout{kind}\n"
        "Preprocess:\n"
        "- {type: Resize, interp: 2, keep_ratio: false, target_size: [800, 800]}\n"
        "- {type: NormalizeImage, is_scale: true, mean: [0.0, 0.0, 0.0], std: [1.0, 1.0, 1.0], norm_type: none}\n"
        "- {type: Permute}\n"
        f"label_list:\n{labels}"
    )


def right_edge(width: int, red: int) -> float:
    """Where the boxes of a page of one colour end, in pixels."""
    return width * (0.5 + RED_REACH * red / 255)


class _Graph:
    """Nodes and constants of a graph, as they come; every call gives the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: ArrayLike, dtype: type) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def __call__(self, operator: str, *inputs: str, result: str = "", **attributes: Any) -> str:
        result = result or f"{operator}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [result], **attributes))
        return result


def _model(kind: Literal["V2", "V3"], candidates: Sequence[Candidate]) -> onnx.ModelProto:
    add = _Graph()
    middle = add.constant([1], np.int64)
    size = add("Round", add("Div", "im_shape", "scale_factor"))  # [B, 2] (height, width)
    scale = add("Unsqueeze", add("Gather", size, add.constant([1, 0, 1, 0], np.int64), axis=1), middle)  # [B, 1, 4]
    means = add("ReduceMean", "image", add.constant([2, 3], np.int64), keepdims=0)  # [B, 3], red first
    red = add("Unsqueeze", add("Gather", means, add.constant([0], np.int64), axis=1), middle)  # [B, 1, 1]
    seen = add("Sign", add("ReduceSum", means, add.constant([1], np.int64), keepdims=1))  # [B, 1], 0 for black
    batch = add("Shape", means, end=1)  # [1]
    times = add("Concat", batch, add.constant([1, 1], np.int64), axis=0)

    def column(values: Sequence[float]) -> str:  # [B, Q, 1]
        return add("Expand", add.constant(np.reshape(values, (1, -1, 1)), np.float32), times)

    reach = add("Mul", red, add.constant([[[0.0, 0.0, RED_REACH, 0.0]]], np.float32))  # [B, 1, 4]
    relative = add.constant([[candidate.box for candidate in candidates]], np.float32)  # [1, Q, 4]
    boxes = add("Mul", add("Add", relative, reach), scale)  # [B, Q, 4]
    classes = column([LABELS.index(candidate.label) for candidate in candidates])
    scores = add("Mul", column([candidate.score for candidate in candidates]), add("Unsqueeze", seen, middle))
    orders = [column([candidate.order for candidate in candidates])] * (2 if kind == "V2" else 1)
    columns = 6 + len(orders)
    rows = add("Concat", classes, scores, boxes, *orders, axis=2)
    add("Reshape", rows, add.constant([-1, columns], np.int64), result="boxes")
    add("Expand", add.constant([len(candidates)], np.int32), batch, result="count")
    outputs: list[tuple[str, int, list[str | int]]] = [
        ("boxes", TensorProto.FLOAT, ["n", columns]),
        ("count", TensorProto.INT32, ["b"]),
    ]
    if kind == "V3":
        add("Cast", add("Tile", add.constant(masks(candidates), np.uint8), times), result="masks", to=TensorProto.INT32)
        outputs.append(("masks", TensorProto.INT32, ["n", SIDE, SIDE]))
    return _checked(add, outputs)


def _checked(add: _Graph, outputs: list[Output]) -> onnx.ModelProto:
    inputs: list[tuple[str, list[str | int]]] = [
        ("im_shape", ["b", 2]),
        ("image", ["b", 3, 800, 800]),
        ("scale_factor", ["b", 2]),
    ]
    graph = helper.make_graph(
        add.nodes,
        "tiny-layout",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(name, dtype, shape) for name, dtype, shape in outputs],
        add.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def masks(candidates: Sequence[Candidate] = CANDIDATES) -> NDArray[np.uint8]:
    """The whole page for every candidate, but a rhombus in the box of the image."""
    masks = np.ones((len(candidates), SIDE, SIDE), np.uint8)
    index = next(i for i, candidate in enumerate(candidates) if candidate.label == "image")
    x0, y0, x1, y1 = (side * SIDE for side in candidates[index].box)
    ys, xs = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    apart = np.abs(xs - (x0 + x1) / 2) / ((x1 - x0) / 2) + np.abs(ys - (y0 + y1) / 2) / ((y1 - y0) / 2)
    masks[index] = apart <= 1
    return masks
