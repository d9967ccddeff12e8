"""Pages of many layouts, and a layout model that finds on each what was drawn there.

A page carries the number of its layout in two grey squares at its top left; the model, an ONNX graph with the
signatures of PP-DocLayoutV2 and V3, looks there and answers with that layout. So both servers run PaddleX's own
pre- and postprocessing on boxes, labels and outlines of every kind, without weights.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import layout_models
import numpy as np
import onnx
from layout_models import LABELS
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageDraw, ImageFont

Kind = Literal["V2", "V3"]
Box = tuple[float, float, float, float]

LEVELS = 16
LAYOUTS = LEVELS * LEVELS
CANDIDATES = 48
SIDE = 800
MASK = 200
_SQUARE = 0.03
"""Of the page's sides; the second square begins at 0.04."""


@dataclass(frozen=True)
class Found:
    """A candidate of the model: `box` in parts of the page; `slant` leans its outline by that part of its height."""

    label: str
    score: float
    box: Box
    order: int
    slant: float = 0.0


def layout(number: int) -> list[Found]:
    """The layout with this number: columns of blocks, with what detectors get wrong among them."""
    if number == LAYOUTS - 1:  # what any white page is
        return [Found("text", 0.9, (0.1, 0.1, 0.9, 0.9), 1)]
    draw = random.Random(number)
    found: list[Found] = []
    _furniture(draw, found, 0.055, ("header", "header_image", "number", "aside_text"))
    columns = draw.choice((1, 1, 2, 2, 3))
    top = 0.09
    if draw.random() < 0.5:
        _add(found, "doc_title", (0.1, top, 0.9, top + 0.04), draw)
        top += 0.05
    width = 0.84 / columns
    for column in range(columns):
        x0 = 0.08 + column * width
        _fill(draw, found, (x0, top, x0 + width - 0.03, 0.92))
    _furniture(draw, found, 0.94, ("footer", "footer_image", "number", "footnote"))
    return found[:CANDIDATES]


def _furniture(draw: random.Random, found: list[Found], y: float, labels: tuple[str, ...]) -> None:
    for place, label in enumerate(draw.sample(labels, draw.randint(0, 2))):
        _add(found, label, (0.1 + 0.45 * place, y, 0.4 + 0.45 * place, y + 0.025), draw)


_BLOCKS = [
    *["text"] * 14, *["table"] * 4, *["paragraph_title"] * 4, *["display_formula"] * 3, *["image"] * 3, *["chart"] * 2,
    *["seal"] * 2, *["reference", "abstract", "algorithm", "content", "vertical_text", "inline_formula"],
    *["figure_title", "vision_footnote", "reference_content"],
]  # fmt: skip


def _fill(draw: random.Random, found: list[Found], area: Box) -> None:
    """Blocks under each other, now and then broken around a picture or on to the next column."""
    left, y, right, bottom = area
    while y < bottom - 0.03:
        label = draw.choice(_BLOCKS)
        height = min(
            draw.choice((0.05, 0.09, 0.14) if label == "table" else (0.02, 0.03, 0.05, 0.09, 0.14)), bottom - y
        )
        indents = draw.choice((0, 0, 0, 0.004, 0.02, 0.1)), draw.choice((0, 0, 0, 0.004, 0.02, 0.1))
        box = (left + indents[0], y, right - indents[1], y + height)
        _add(found, label, box, draw)
        _beside(draw, found, label, box)
        y += height + draw.choice((0.0, 0.004, 0.012, 0.02))


def _beside(draw: random.Random, found: list[Found], label: str, box: Box) -> None:
    x0, y0, x1, y1 = box
    if label == "table" and draw.random() < 0.25:
        for part in range(draw.randint(1, 2)):
            kind = draw.choice(("image", "image", "seal", "chart"))
            start = x0 + (0.1 + 0.45 * part) * (x1 - x0)
            _add(found, kind, (start, y0 + 0.002, start + 0.3 * (x1 - x0), y1 - 0.002), draw)
    elif label == "display_formula" and draw.random() < 0.6:
        _add(found, "formula_number", (x1 - 0.03, y0, x1, y1), draw)
    elif label == "text" and draw.random() < 0.15:
        _add(found, "inline_formula", (x0 + 0.05, y0 + 0.002, x0 + 0.12, y1 - 0.002), draw)
    if draw.random() < 0.12:  # the same once more, a little off or under another name
        off = draw.choice((0.001, 0.004, 0.01))
        again = draw.choice((label, label, "text", "image"))
        _add(found, again, (x0 + off, y0 + off / 2, x1 - off, y1), draw, draw.choice((0.45, 0.7)))
    if draw.random() < 0.04:
        _add(found, "text", (x0, y0, x0 + 0.005, y1), draw)


def _add(found: list[Found], label: str, box: Box, draw: random.Random, score: float | None = None) -> None:
    score = score or draw.choice((0.95, 0.9, 0.8, 0.62, 0.47, 0.35))
    slant = draw.choice((0, 0, 0, 0, 0.2, -0.3, 0.8)) if label in ("image", "seal", "text", "table") else 0
    found.append(Found(label, score, box, len(found) + 1, slant))


def picture(number: int, size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """A page with this layout: its number, and ink in every box, with a margin that differs from box to box."""
    width, height = size
    page = Image.new("RGB", size, "white")
    canvas = ImageDraw.Draw(page)
    draw = random.Random(-number)
    inked = []
    for found in layout(number):
        x0, y0, x1, y1 = _scaled(found.box, size)
        margin = draw.randint(0, min(x1 - x0, y1 - y0) // 3)
        shade = draw.randint(0, 140)
        ink = (x0 + margin, y0 + margin, max(x0 + margin, x1 - margin), max(y0 + margin, y1 - margin))
        inked.append((found.label, ink, shade))
        if found.label in ("image", "chart", "seal"):
            canvas.rectangle(ink, fill=(shade, shade, shade + 80))
    for label, ink, shade in inked:
        font = ImageFont.load_default(max(6, min(24, (ink[3] - ink[1]) // 2)))
        canvas.text(ink[:2], f"{label} {number} " * 3, fill=(shade, shade, shade), font=font)
        canvas.line(ink, fill="maroon")  # a blank crop is not read here
    canvas.rectangle((0, 0, 0.08 * width, 0.034 * height), fill="white")
    for place, level in enumerate(divmod(number % LAYOUTS, LEVELS)):
        grey = round(level * 255 / (LEVELS - 1))
        left = 0.04 * place * width
        canvas.rectangle((left, 0, left + _SQUARE * width, _SQUARE * height), fill=(grey,) * 3)
    return page.convert(mode)


def _scaled(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    return tuple(round(side * size[index % 2]) for index, side in enumerate(box))  # type: ignore[return-value]


def build(kind: Kind, folder: Path) -> Path:
    """Write the model into the folder, as PaddleX's `model_dir` wants it."""
    layout_models.build(kind, folder)  # its inference.yml
    onnx.save(_model(kind), folder / "inference.onnx")
    return folder


def _tables() -> dict[str, np.ndarray]:
    shape = (LAYOUTS, CANDIDATES)
    head, box = np.zeros((*shape, 2), np.float32), np.zeros((*shape, 4), np.float32)
    order, slant = np.zeros((*shape, 1), np.float32), np.zeros((*shape, 1), np.float32)
    head[..., 1], box[..., 2:] = 0.01, 0.01
    for number in range(LAYOUTS):
        for row, found in enumerate(layout(number)):
            head[number, row] = LABELS.index(found.label), found.score
            box[number, row] = found.box
            order[number, row], slant[number, row] = found.order, found.slant
    return {"head": head, "box": box, "order": order, "slant": slant}


def _model(kind: Kind) -> onnx.ModelProto:
    nodes: list[onnx.NodeProto] = []
    constants = [numpy_helper.from_array(table, name) for name, table in _tables().items()]

    def constant(value: object, dtype: type) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value, dtype), f"c{len(constants)}"))
        return constants[-1].name

    def add(operator: str, *inputs: str, result: str = "", **attributes: object) -> str:
        result = result or f"{operator}{len(nodes)}"
        nodes.append(helper.make_node(operator, inputs, [result], **attributes))
        return result

    def level(left: int) -> str:  # [B] the grey of a square, 0 to LEVELS - 1
        inner = [constant(edges, np.int64) for edges in ([0, 8, left + 8], [1, 16, left + 16], [1, 2, 3])]
        mean = add("ReduceMean", add("Slice", "image", *inner), constant([1, 2, 3], np.int64), keepdims=0)
        return add("Round", add("Mul", mean, constant(LEVELS - 1, np.float32)))

    high = add("Mul", level(0), constant(LEVELS, np.float32))
    number = add("Cast", add("Add", high, level(32)), to=TensorProto.INT64)  # [B]
    head, box, order, slant = (add("Gather", name, number, axis=0) for name in ("head", "box", "order", "slant"))
    size = add("Round", add("Div", "im_shape", "scale_factor"))  # [B, 2] (height, width)
    ends = add("Gather", size, constant([1, 0, 1, 0], np.int64), axis=1)
    boxes = add("Mul", box, add("Unsqueeze", ends, constant([1], np.int64)))  # [B, Q, 4]
    tail = [order, order] if kind == "V2" else [order]
    columns = 6 + len(tail)
    rows = add("Concat", head, boxes, *tail, axis=2)
    add("Reshape", rows, constant([-1, columns], np.int64), result="boxes")
    batch = add("Shape", number)
    add("Expand", constant([CANDIDATES], np.int32), batch, result="count")
    outputs: list[tuple[str, int, list[str | int]]] = [
        ("boxes", TensorProto.FLOAT, ["n", columns]),
        ("count", TensorProto.INT32, ["b"]),
    ]
    if kind == "V3":
        _masks(add, constant, box, slant)
        outputs.append(("masks", TensorProto.INT32, ["n", MASK, MASK]))
    inputs: list[tuple[str, list[str | int]]] = [
        ("im_shape", ["b", 2]),
        ("image", ["b", 3, SIDE, SIDE]),
        ("scale_factor", ["b", 2]),
    ]
    graph = helper.make_graph(
        nodes,
        "layouts",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(name, dtype, shape) for name, dtype, shape in outputs],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def _masks(add: object, constant: object, box: str, slant: str) -> None:
    """`masks` [B * Q, 200, 200]: the box, its upper edge moved to the right by `slant` times its height."""
    ys, xs = np.mgrid[0:MASK, 0:MASK].astype(np.float32) / MASK + 0.5 / MASK
    last = constant([-1], np.int64)

    def side(index: int) -> str:  # [B, Q, 1, 1]
        chosen = add("Gather", box, constant([index], np.int64), axis=2)
        return add("Unsqueeze", chosen, last)

    x0, y0, x1, y1 = (side(index) for index in range(4))
    y, x = constant(ys[None, None], np.float32), constant(xs[None, None], np.float32)
    lean = add("Mul", add("Unsqueeze", slant, last), add("Sub", y1, y))
    straight = add("Sub", x, lean)
    tests = [
        add("GreaterOrEqual", x, x0),
        add("GreaterOrEqual", straight, x0),
        add("Less", x, x1),
        add("Less", straight, x1),
        add("GreaterOrEqual", y, y0),
        add("Less", y, y1),
    ]
    within = tests[0]
    for test in tests[1:]:
        within = add("And", within, test)
    flat = add("Reshape", within, constant([-1, MASK, MASK], np.int64))
    add("Cast", flat, result="masks", to=TensorProto.INT32)
