"""Pages that lie on a side or are bent, with the tiny models that turn and flatten them, for both servers."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import page_models
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from parity.cases import WITHIN_BUDGET, Case
from parity.layouts import Kind, picture

SIZES = ((827, 1169), (1169, 827), (1000, 1000), (620, 877))

ASKED: Sequence[dict[str, Any]] = (
    {"useDocOrientationClassify": True, "useDocUnwarping": True},
    {"useDocOrientationClassify": True, "useDocUnwarping": False},
    {"useDocOrientationClassify": False, "useDocUnwarping": True},
    {"useDocOrientationClassify": True},
    {"useDocUnwarping": True},
    {"useDocOrientationClassify": False, "useDocUnwarping": False},
    {"useDocOrientationClassify": True, "useDocUnwarping": True, "useLayoutDetection": False},
)
"""One choice a document, in turn. Only one of the two: the other is as the server is configured, so on in both."""

_GRID = (31, 45)
_BEND = 0.02
"""Of the page's sides: how far the pixels in its middle move."""


def build(folder: Path) -> tuple[Path, Path]:
    """The models, PP-LCNet_x1_0_doc_ori's stand-in, for which red is up, and UVDoc's, which bends a page."""
    return page_models.orientation(folder / "orientation"), bending(folder / "bending")


def cases(kind: Kind, amount: int) -> Iterator[Case]:
    """So many documents: pictures, and now and then a document of several pages, each page lying in its own way."""
    draw = random.Random(f"preparation {kind}")
    for index in range(amount):
        many = index % 4 == 3
        turns = [draw.randrange(4) for _ in range(draw.randint(2, 3) if many else 1)]
        if not many:
            turns = [index % 4]
        fields = {"visualize": False, "fileType": 0 if many else 1, **ASKED[index % len(ASKED)]}
        size = WITHIN_BUDGET if "useLayoutDetection" in fields else SIZES[index % len(SIZES)]
        pages = [_lying(picture(draw.randrange(255), size), turn) for turn in turns]
        stored = {"concatenatePages": index % 8 == 3} if many else None
        yield Case(f"{index} turned {turns}", _encoded(pages, many), fields, stored)


def bending(folder: Path) -> Path:
    """Write `inference.onnx` and `inference.yml`: [B, 3, H, W] sampled along curves."""
    folder.mkdir(parents=True, exist_ok=True)
    ys, xs = (np.linspace(-1, 1, side, dtype=np.float32) for side in _GRID)
    y, x = np.meshgrid(ys, xs, indexing="ij")
    grid = np.stack([x + 2 * _BEND * np.cos(y * np.pi / 2), y + _BEND * np.cos(x * np.pi / 2)])[None]
    constants = [
        numpy_helper.from_array(grid.astype(np.float32), "grid"),
        numpy_helper.from_array(np.array([1, 2], np.int64), "two"),
    ]
    nodes = [
        helper.make_node("Shape", ["x"], ["sides"], start=2),
        helper.make_node("Concat", ["two", "sides"], ["sizes"], axis=0),
        helper.make_node(
            "Resize",
            ["grid", "", "", "sizes"],
            ["places"],
            mode="linear",
            coordinate_transformation_mode="align_corners",
        ),
        helper.make_node("Transpose", ["places"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("GridSample", ["x", "last"], ["flat"], padding_mode="border", align_corners=1),
    ]
    sides: list[str | int] = [1, 3, "h", "w"]
    graph = helper.make_graph(
        nodes,
        "bending",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, sides)],
        [helper.make_tensor_value_info("flat", TensorProto.FLOAT, sides)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "inference.onnx")
    (folder / "inference.yml").write_text("Global:\n  model_name: UVDoc\n")
    return folder


def _lying(page: Image.Image, turns: int) -> Image.Image:
    """The page, white turned to pink in its upper part but beside its number, and then by so many quarters."""
    pixels = np.asarray(page).copy()
    height, width = pixels.shape[:2]
    band = pixels[: height * 2 // 5]
    paper = band.min(axis=2) > 240
    paper[: height // 20, : width // 10] = False
    band[paper] = (255, 190, 190)
    return Image.fromarray(np.ascontiguousarray(np.rot90(pixels, turns)))


def _encoded(pages: Sequence[Image.Image], many: bool) -> bytes:
    file = io.BytesIO()
    if many:
        pages[0].save(file, "PDF", save_all=True, append_images=pages[1:], resolution=144.0)
    else:
        pages[0].save(file, "PNG")
    return file.getvalue()
