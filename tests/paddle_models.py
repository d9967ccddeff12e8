"""The tiny layout models of `layout_models`, in Paddle's own format: `python paddle_models.py V2=FOLDER V3=FOLDER`.

Runs in a process of its own: Paddle takes over signals and warns of much while it is imported.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import paddle
from layout_models import CANDIDATES, LABELS, RED_REACH, SIDE, masks, write_description
from paddle.static import InputSpec


class TinyLayout(paddle.nn.Layer):  # type: ignore[misc]
    """(im_shape, image, scale_factor) to boxes, count and, for V3, masks."""

    def __init__(self, kind: Literal["V2", "V3"]) -> None:
        super().__init__()
        self.kind = kind
        orders = [candidate.order for candidate in CANDIDATES]
        self.constant("head", [[LABELS.index(candidate.label), candidate.score] for candidate in CANDIDATES])
        self.constant("boxes", [candidate.box for candidate in CANDIDATES])
        self.constant("orders", np.transpose([orders] * (2 if kind == "V2" else 1)))
        self.constant("masks", masks(), "int32")

    def constant(self, name: str, value: Any, dtype: str = "float32") -> None:
        self.register_buffer(name, paddle.to_tensor(np.asarray(value, dtype)))

    def forward(self, im_shape: Any, image: Any, scale_factor: Any) -> Any:
        batch = paddle.shape(image)[0]
        size = paddle.round(im_shape / scale_factor)  # [B, 2] (height, width)
        scale = paddle.concat([size[:, 1:], size[:, :1]] * 2, axis=1).unsqueeze(1)  # [B, 1, 4]
        means = paddle.mean(image, axis=[2, 3])  # [B, 3], red first
        seen = paddle.sign(paddle.sum(means, axis=1, keepdim=True)).unsqueeze(1)  # [B, 1, 1], 0 for black
        reach = means[:, :1].unsqueeze(1) * paddle.to_tensor([0.0, 0.0, RED_REACH, 0.0])  # [B, 1, 4]
        boxes = (self.boxes.unsqueeze(0) + reach) * scale  # [B, Q, 4]
        head = self.head.unsqueeze(0).expand([batch, len(CANDIDATES), 2])
        head = paddle.concat([head[:, :, :1], head[:, :, 1:] * seen], axis=2)
        orders = self.orders.unsqueeze(0).expand([batch, len(CANDIDATES), self.orders.shape[1]])
        rows = paddle.concat([head, boxes, orders], axis=2)
        found = (
            paddle.reshape(rows, [-1, 8 if self.kind == "V2" else 7]),
            paddle.full([batch], len(CANDIDATES), "int32"),
        )
        if self.kind == "V2":
            return found
        return *found, paddle.reshape(
            self.masks.unsqueeze(0).expand([batch, len(CANDIDATES), SIDE, SIDE]), [-1, SIDE, SIDE]
        )


def build(kind: Literal["V2", "V3"], folder: Path) -> None:
    """Write `inference.json`, `inference.pdiparams` and `inference.yml` into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    model = TinyLayout(kind)
    model.eval()
    shapes = {"im_shape": [None, 2], "image": [None, 3, 800, 800], "scale_factor": [None, 2]}
    inputs = [InputSpec(shape, "float32", name) for name, shape in shapes.items()]
    paddle.jit.save(paddle.jit.to_static(model, input_spec=inputs, full_graph=True), str(folder / "inference"))
    write_description(kind, folder)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        kind, _, folder = argument.partition("=")
        build(kind, Path(folder))  # type: ignore[arg-type]
