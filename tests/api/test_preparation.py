"""Pages that are turned upright and flattened before they are read, in both dialects."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import documents
import page_models
import pytest
from paddlex_client import pages_of, parse
from PIL import Image
from running import gateway
from vlm_standin import Standin

pytest.importorskip("paddlex")
pytest.importorskip("onnxruntime")


def lying() -> bytes:
    """Its red top is on the left: it was turned counterclockwise."""
    page = Image.new("RGB", (300, 240), "white")
    page.paste("red", (0, 0, 60, 240))
    page.paste("blue", (250, 0, 300, 80))
    return documents.encode(page, "PNG")


async def test_a_page_is_read_as_it_was_prepared(tmp_path: Path) -> None:
    """Sizes and boxes are of the page after it; the answer says what was done, and nothing where nothing was."""
    settings = {
        "doc_preparation": "orientation, unwarping",
        "doc_orientation_model_dir": str(page_models.orientation(tmp_path / "orientation")),
        "doc_unwarping_model_dir": str(page_models.unwarping(tmp_path / "unwarping")),
    }
    async with Standin() as vlm, gateway(vlm.url, **settings) as running:
        (page,) = (await running.ocr(lying(), orientation=True, unwarping=True)).json()["pages"]
        assert page["preparation"] == {"angle": 270, "unwarped": True, "width": 300, "height": 240}
        size = page["width"], page["height"]
        assert size == (240 - page_models.CUT, 300)
        assert page["blocks"][0]["bbox"] == [0, 0, *size]
        assert Image.open(io.BytesIO(vlm.requests[-1].picture)).size == size

        (plain,) = (await running.ocr(lying())).json()["pages"]
        assert plain["preparation"] is None and plain["width"] == 300

        answer = await parse(running, lying(), useDocOrientationClassify=True, useDocUnwarping=False)
        (result,) = pages_of(answer)
        pruned = result["prunedResult"]
        assert (pruned["width"], pruned["height"]) == (240, 300)
        assert pruned["model_settings"]["use_doc_preprocessor"] is True
        assert pruned["doc_preprocessor_res"] == {
            "model_settings": {"use_doc_orientation_classify": True, "use_doc_unwarping": False},
            "angle": 270,
        }
        assert answer.json()["result"]["dataInfo"] == {"width": 300, "height": 240, "type": "image"}
        pictures = [result["inputImage"], result["outputImages"]["preprocessed_img"]]
        given, steps = (Image.open(io.BytesIO(base64.b64decode(picture))) for picture in pictures)
        assert (given.size, steps.size) == ((300, 240), (300 + 240 + 240, 300 + 25))
        seen = [steps.getpixel(place) for place in ((30, 120), (300 + 120, 30), (300 + 240 + 120, 30))]
        assert all(red > 200 > 80 > green for red, green, _ in seen), "its red edge, before and after"


async def test_a_step_that_a_client_of_paddlex_leaves_open_goes_with_the_other(tmp_path: Path) -> None:
    """As in PaddleX, beside a step that is asked for the other is as the service is set up; by itself it is off."""
    settings = {
        "doc_preparation": "orientation, unwarping",
        "doc_orientation_model_dir": str(page_models.orientation(tmp_path / "orientation")),
        "doc_unwarping_model_dir": str(page_models.unwarping(tmp_path / "unwarping")),
    }
    asked: dict[tuple[bool | None, bool | None], tuple[bool, bool]] = {
        (None, None): (False, False),
        (True, None): (True, True),
        (None, True): (True, True),
        (True, False): (True, False),
        (False, True): (False, True),
        (False, None): (False, False),
    }
    async with Standin() as vlm, gateway(vlm.url, **settings) as running:
        for (orientation, unwarping), done in asked.items():
            fields = {"useDocOrientationClassify": orientation, "useDocUnwarping": unwarping, "visualize": False}
            (page,) = pages_of(await parse(running, lying(), **fields))
            steps = page["prunedResult"].get("doc_preprocessor_res", {}).get("model_settings", {})
            seen = tuple(steps.get(name, False) for name in ("use_doc_orientation_classify", "use_doc_unwarping"))
            assert seen == done, (orientation, unwarping)


async def test_what_is_not_loaded_is_refused_by_name() -> None:
    """422 before anything is read."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        answer = await running.ocr(lying(), unwarping=True)
        assert answer.status_code == 422 and answer.json()["detail"].startswith("unwarping: ")
    assert vlm.requests == []
