"""PaddleX's layout model behind PaddleX's API: what a caller says about regions reaches it."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import layout_models
import numpy as np
import pytest
from paddlex_client import pages_of, parse
from PIL import Image
from running import Gateway, gateway
from vlm_standin import Standin

pytest.importorskip("paddlex")
pytest.importorskip("onnxruntime")


def page(size: tuple[int, int] = (400, 500)) -> bytes:
    """Grey, with a black corner, so that no region is of one colour."""
    image = Image.new("RGB", size, (128, 128, 128))
    image.paste(Image.effect_noise(size, 40).convert("RGB"))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return layout_models.build("V3", tmp_path_factory.mktemp("V3"))


@asynccontextmanager
async def serving(model: Path) -> AsyncIterator[Gateway]:
    async with (
        Standin(answer=lambda asked: asked.prompt) as vlm,
        gateway(vlm.url, layout_detector="paddlex", layout_model_dir=str(model)) as one,
    ):
        yield one


def labels(page: dict[str, Any]) -> list[str]:
    return [box["label"] for box in page["prunedResult"]["layout_det_res"]["boxes"]]


RULES: dict[str, dict[str, Any]] = {
    "usual": {},
    "strict": {"layoutThreshold": 0.85},
    "by class": {"layoutThreshold": {"21": 0.95, "22": 0.1}},
    "all": {"layoutNms": False},
    "wide": {"layoutUnclipRatio": [1.5, 1.0]},
    "rect": {"layoutShapeMode": "rect"},
    "quad": {"layoutShapeMode": "quad"},
}


async def test_layout_rules_are_the_callers(model: Path) -> None:
    """Threshold, NMS, widening and outlines; requests with other rules at the same time get their own."""
    found: dict[str, dict[str, Any]] = {}
    async with serving(model) as running:

        async def read(name: str) -> None:
            (found[name],) = pages_of(await parse(running, page(), visualize=False, **RULES[name]))

        async with anyio.create_task_group() as tasks:
            for name in RULES:
                tasks.start_soon(read, name)
    assert labels(found["usual"]) == ["doc_title", "text", "table", "footer", "image"]
    assert labels(found["strict"]) == ["table", "footer", "image"]
    assert labels(found["by class"]) == ["text", "footer", "image"]
    assert labels(found["all"]).count("text") == 2
    boxes = {name: one["prunedResult"]["layout_det_res"]["boxes"] for name, one in found.items()}
    wide, narrow = boxes["wide"][0]["coordinate"], boxes["usual"][0]["coordinate"]
    assert wide[2] - wide[0] > narrow[2] - narrow[0] and wide[1::2] == narrow[1::2]
    assert "polygon_points" not in boxes["rect"][0]
    assert [len(boxes[name][-1]["polygon_points"]) > 4 for name in ("usual", "quad")] == [True, False]
    assert "block_polygon_points" in found["quad"]["prunedResult"]["parsing_res_list"][0]


async def test_what_is_read_and_written_is_the_callers(model: Path) -> None:
    """Pictures read or shown, labels left out, contents as in the Markdown."""
    async with serving(model) as running:
        (shown,) = pages_of(await parse(running, page(), useOcrForImageBlock=True, markdownIgnoreLabels=["doc_title"]))
        (formatted,) = pages_of(await parse(running, page(), formatBlockContent=True, visualize=False))
    blocks = {block["block_label"]: block for block in shown["prunedResult"]["parsing_res_list"]}
    assert blocks["image"]["block_content"] == "OCR:" and blocks["image"]["block_order"] is None
    assert blocks["footer"]["block_order"] is None and blocks["text"]["block_order"] == 1
    assert blocks["doc_title"]["block_order"] is None
    assert not shown["markdown"]["text"].startswith("# ")
    (name,) = shown["markdown"]["images"]
    crop = Image.open(io.BytesIO(base64.b64decode(shown["markdown"]["images"][name])))
    x0, y0, x1, y1 = blocks["image"]["block_bbox"]
    assert crop.size == (x1 - x0, y1 - y0) and name in shown["markdown"]["text"]
    assert formatted["prunedResult"]["parsing_res_list"][0]["block_content"] == "# OCR:"
    assert formatted["prunedResult"]["model_settings"]["format_block_content"] is True


async def test_the_picture_to_look_at_shows_the_regions(model: Path) -> None:
    """The overlay is the page with something drawn on it, no larger than 2,000 pixels a side."""
    async with serving(model) as running:
        (one,) = pages_of(await parse(running, page((1000, 2500))))
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB"), np.int16)
        for picture in (one["inputImage"], one["outputImages"]["layout_det_res"])
    ]
    assert [picture.shape for picture in pictures] == [(2000, 800, 3)] * 2
    assert (np.abs(pictures[0] - pictures[1]).max(axis=2) > 60).any()
