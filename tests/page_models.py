"""Tiny stand-ins for PaddleX's page models in ONNX: PP-LCNet_x1_0_doc_ori (which way is up) and UVDoc (flattening).

The first takes the reddest edge of a page for its top; the second cuts ten pixels off the left of a page and makes it
greener, so that what it gave can be told from what it got, and its channels from each other.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CUT = 10
GREENER = 0.25

_CROP = 224


def orientation(folder: Path) -> Path:
    """Write `inference.onnx` and `inference.yml`: [B, 3, 224, 224] to the scores of 0, 90, 180 and 270 degrees."""
    folder.mkdir(parents=True, exist_ok=True)
    edges = np.zeros((4, 3, _CROP, _CROP), np.float32)
    for angle, part in enumerate((np.s_[:, :20], np.s_[:, :, -20:], np.s_[:, -20:], np.s_[:, :, :20])):
        edges[angle][part] = np.array([1, -0.5, -0.5], np.float32)[:, None, None]
    weights = numpy_helper.from_array(edges.reshape(4, -1).T / 10_000, "weights")
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"]),
    ]
    _save(folder, nodes, [weights], ["b", 3, _CROP, _CROP], ("scores", ["b", 4]))
    (folder / "inference.yml").write_text(
        "Global:\n  model_name: PP-LCNet_x1_0_doc_ori\n"
        "PreProcess:\n  transform_ops:\n"
        "  - ResizeImage: {resize_short: 256}\n"
        f"  - CropImage: {{size: {_CROP}}}\n"
        "  - NormalizeImage: {channel_num: 3, mean: [0, 0, 0], order: '', scale: 0.00392156862745098, std: [1, 1, 1]}\n"
        "  - ToCHWImage: null\n"
        "PostProcess:\n  Topk:\n    topk: 1\n    label_list: ['0', '90', '180', '270']\n"
    )
    return folder


def unwarping(folder: Path) -> Path:
    """Write `inference.onnx` and `inference.yml`: [B, 3, H, W] to a picture ten pixels narrower."""
    folder.mkdir(parents=True, exist_ok=True)
    constants = [
        numpy_helper.from_array(np.array(value, dtype), name)
        for name, value, dtype in (
            ("starts", [CUT], np.int64),
            ("ends", [np.iinfo(np.int64).max], np.int64),
            ("axes", [3], np.int64),
            ("green", [[[0.0]], [[GREENER]], [[0.0]]], np.float32),
            ("one", 1, np.float32),
        )
    ]
    nodes = [
        helper.make_node("Slice", ["x", "starts", "ends", "axes"], ["cut"]),
        helper.make_node("Add", ["cut", "green"], ["greener"]),
        helper.make_node("Min", ["greener", "one"], ["flat"]),
    ]
    _save(folder, nodes, constants, ["b", 3, "h", "w"], ("flat", ["b", 3, "h", "v"]))
    (folder / "inference.yml").write_text("Global:\n  model_name: UVDoc\n")
    return folder


def _save(
    folder: Path,
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    shape: list[str | int],
    output: tuple[str, list[str | int]],
) -> None:
    graph = helper.make_graph(
        nodes,
        "tiny-page",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "inference.onnx")
