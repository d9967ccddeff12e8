"""Every field of PaddleX's request schemas, taken from PaddleX itself, is honoured here or refused by its name."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import layout_models
import numpy as np
import paddlex_schemas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layout_models import Candidate
from paddlex_client import PNG, base64_of
from PIL import Image
from running import Gateway, gateway
from vlm_standin import Asked, Standin

from gateway.api.paddlex.requests import Fields, ParsingFields, validated
from gateway.api.paddlex.stored import RestructureFields
from gateway.errors import InvalidRequest

pytest.importorskip("paddlex")
pytest.importorskip("onnxruntime")

CANDIDATES = (
    Candidate("table", 0.9, (0.1, 0.02, 0.9, 0.1), order=0),
    Candidate("doc_title", 0.9, (0.1, 0.12, 0.9, 0.16), order=1),
    Candidate("paragraph_title", 0.9, (0.1, 0.17, 0.5, 0.19), order=2),
    Candidate("text", 0.9, (0.05, 0.2, 0.45, 0.4), order=3),
    Candidate("text", 0.9, (0.5, 0.2, 0.9, 0.4), order=4),  # the next column
    Candidate("text", 0.7, (0.05, 0.201, 0.45, 0.4), order=5),  # falls to NMS
    Candidate("text", 0.35, (0.1, 0.42, 0.5, 0.46), order=6),
    Candidate("chart", 0.9, (0.1, 0.5, 0.3, 0.6), order=7),
    Candidate("seal", 0.9, (0.4, 0.5, 0.6, 0.6), order=8),
    Candidate("image", 0.9, (0.7, 0.5, 0.9, 0.6), order=9),  # a rhombus
    Candidate("display_formula", 0.9, (0.1, 0.65, 0.7, 0.7), order=10),
    Candidate("formula_number", 0.9, (0.75, 0.65, 0.85, 0.7), order=11),
    Candidate("table", 0.9, (0.1, 0.75, 0.9, 0.95), order=12),
    Candidate("text", 0.9, (0.2, 0.8, 0.4, 0.85), order=13),  # within the table
)
ANSWERS = {
    "OCR:": "1.1 Method",
    "Table Recognition:": "<fcel>a<fcel>b<nl><fcel>c<fcel>d<nl>",
    "Formula Recognition:": r"\[ a \]",
}


def document() -> bytes:
    """Two pages without red, which would move the boxes."""
    noise = np.random.default_rng(0).integers(1, 255, (2, 500, 400, 3), np.uint8)
    noise[..., 0] = 0
    pages = [Image.fromarray(page) for page in noise]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    return file.getvalue()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return layout_models.build("V3", tmp_path_factory.mktemp("V3"), CANDIDATES)


@asynccontextmanager
async def serving(model: Path) -> AsyncIterator[tuple[Gateway, Standin]]:
    async with (
        Standin(answer=lambda asked: ANSWERS.get(asked.prompt, asked.prompt)) as vlm,
        gateway(vlm.url, layout_detector="paddlex", layout_model_dir=str(model)) as one,
    ):
        yield one, vlm


BASE: dict[str, Any] = {"file": base64_of(document()), "visualize": False}
WHOLE = {"useLayoutDetection": False}
OVER_PAGES = {"restructurePages": True}
PARSING: dict[str, tuple[Any, dict[str, Any]]] = {
    "file": (base64_of(PNG), {}),
    "fileType": (0, {}),  # refused: it is a picture
    "outputFormats": (["docx"], {}),
    "useDocOrientationClassify": (True, {}),  # refused, as the next: no model is loaded; see test_preparation.py
    "useDocUnwarping": (True, {}),
    "useLayoutDetection": (False, {}),
    "useChartRecognition": (True, {}),
    "useSealRecognition": (True, {}),
    "useOcrForImageBlock": (True, {}),
    "layoutThreshold": (0.6, {}),
    "layoutNms": (False, {}),
    "layoutUnclipRatio": (1.2, {}),
    "layoutMergeBboxesMode": ("small", {}),
    "layoutShapeMode": ("rect", {}),
    "promptLabel": ("table", WHOLE),
    "formatBlockContent": (True, {}),
    "repetitionPenalty": (1.1, {}),
    "temperature": (0.5, {}),
    "topP": (0.5, {}),
    "minPixels": (1000, {}),
    "maxPixels": (500_000, {}),
    "maxNewTokens": (99, {}),
    "mergeLayoutBlocks": (False, {}),
    "markdownIgnoreLabels": (["text"], {}),
    "vlmExtraArgs": ({"table_max_pixels": 500_000}, {}),
    "prettifyMarkdown": (False, {}),
    "showFormulaNumber": (True, {}),
    "returnMarkdownImages": (False, {}),
    "restructurePages": (True, {}),
    "mergeTables": (False, OVER_PAGES),
    "relevelTitles": (False, OVER_PAGES),
    "visualize": (True, {}),
    "logId": ("mine", {}),
}
"""Another value than the usual one, and what it needs beside it."""


async def test_every_field_of_layout_parsing_is_honoured_or_refused_by_name(model: Path) -> None:
    """Another value changes the answer or what the model is asked, not only its echo in `model_settings`; answers have
    PaddleX's own shape."""
    assert set(PARSING) == set(paddlex_schemas.parsing().model_fields) == set(ParsingFields.model_fields)
    async with serving(model) as (running, vlm):

        async def outcome(members: dict[str, Any]) -> Any:
            vlm.requests.clear()
            answer = (await running.http.post("/layout-parsing", json={**BASE, **members})).json()
            if answer["errorCode"] == 0:
                paddlex_schemas.check_answer(answer, "/layout-parsing")
            return comparable(answer, "logId" in members), asked_of(vlm.requests)

        usual: dict[str, Any] = {}
        for field, (value, beside) in PARSING.items():
            key = json.dumps(beside)
            if key not in usual:
                usual[key] = await outcome(beside)
                assert await outcome(beside) == usual[key]
            changed = await outcome({**beside, field: value})
            refused = changed[0].get("errorCode") == 422
            assert changed != usual[key], f"{field} is ignored"
            assert not refused or f'"loc": "body.{field}"' in changed[0]["errorMsg"], changed
            assert refused == (field in ("fileType", "useDocOrientationClassify", "useDocUnwarping")), field


RESTRUCTURING: dict[str, Any] = {
    "pages": [],
    "mergeTables": False,
    "relevelTitles": False,
    "concatenatePages": True,
    "prettifyMarkdown": False,
    "showFormulaNumber": True,
    "returnMarkdownImages": False,
    "outputFormats": ["docx"],
    "logId": "mine",
}


async def test_every_field_of_restructure_pages_is_honoured(model: Path) -> None:
    """Each changes what becomes of the pages of a document read before."""
    assert (
        set(RESTRUCTURING) == set(paddlex_schemas.restructuring().model_fields) == set(RestructureFields.model_fields)
    )
    async with serving(model) as (running, _):
        read = (await running.http.post("/layout-parsing", json=BASE)).json()["result"]["layoutParsingResults"]
        pages = [{"prunedResult": p["prunedResult"], "markdownImages": p["markdown"]["images"]} for p in read]

        async def outcome(members: dict[str, Any]) -> Any:
            answer = await running.http.post("/restructure-pages", json={"pages": pages, **members})
            assert answer.status_code == 200, answer.text
            paddlex_schemas.check_answer(answer.json(), "/restructure-pages")
            return comparable(answer.json(), "logId" in members)

        usual = await outcome({})
        assert await outcome({}) == usual
        for field, value in RESTRUCTURING.items():
            assert await outcome({field: value}) != usual, f"{field} is ignored"


def comparable(answer: dict[str, Any], with_id: bool) -> dict[str, Any]:
    for page in answer.get("result", {}).get("layoutParsingResults", ()):
        page["prunedResult"].pop("model_settings", None)
    return answer if with_id else {name: part for name, part in answer.items() if name != "logId"}


def asked_of(requests: list[Asked]) -> list[str]:
    asked = [
        {name: part for name, part in one.body.items() if name != "messages"}
        | {"prompt": one.prompt, "size": Image.open(io.BytesIO(one.picture)).size}
        for one in requests
    ]
    return sorted(json.dumps(one, sort_keys=True) for one in asked)


ODD: list[Any] = ["maybe", -1, None, ["maybe"], {"maybe": "maybe"}, {"1": -7}]


@pytest.mark.parametrize(
    ("path", "schema", "least"),
    [
        ("/layout-parsing", paddlex_schemas.parsing, {"file": base64_of(PNG)}),
        ("/restructure-pages", paddlex_schemas.restructuring, {"pages": []}),
    ],
)
async def test_bad_values_in_any_field_are_422_and_named(path: str, schema: Callable[[], Any], least: Any) -> None:
    """What PaddleX's own schema refuses is refused here, in the envelope, for every one of its fields."""
    theirs = schema()
    bad = [(field, value) for field in theirs.model_fields for value in ODD]
    bad = [(field, value) for field, value in bad if paddlex_schemas.refuses(theirs, {**least, field: value}, field)]
    assert {field for field, _ in bad} == set(theirs.model_fields)
    async with Standin() as vlm, gateway(vlm.url) as running:
        for field, value in bad:
            answer = await running.http.post(path, json={**least, field: value})
            body = answer.json()
            assert (answer.status_code, set(body)) == (422, {"logId", "errorCode", "errorMsg"}), (field, value)
            assert body["errorCode"] == 422
            assert json.loads(body["errorMsg"])[0]["loc"].startswith(f"body.{field}"), body
    assert vlm.requests == []


numbers = st.one_of(st.integers(-3, 3), st.floats(-2, 2), st.just(10**9))
words = st.one_of(st.sampled_from(["true", "1", "ocr", "large", "auto", "docx", "no"]), st.text(max_size=3))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, words),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=2)),
    max_leaves=4,
)


@settings(max_examples=1500, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_generated_values_are_refused_where_paddlex_refuses_them(data: st.DataObject) -> None:
    """Any JSON in any field; what is refused names the field, whether PaddleX refuses it too or not."""
    theirs, ours, least = data.draw(
        st.sampled_from(
            [
                (paddlex_schemas.parsing(), ParsingFields, {"file": "x"}),
                (paddlex_schemas.restructuring(), RestructureFields, {"pages": []}),
            ]
        )
    )
    field = data.draw(st.sampled_from(sorted(theirs.model_fields)))
    value = data.draw(values)
    members = {**least, field: value}
    refused = _refused(ours, members)
    assert refused is None or refused.startswith(f"body.{field}"), (members, refused)
    pair = field == "layoutUnclipRatio" and isinstance(value, list) and len(value) == 2  # wanted, but refused there
    if paddlex_schemas.refuses(theirs, members, field) and not pair:
        assert refused is not None, members


def _refused(fields: type[Fields], members: dict[str, Any]) -> str | None:
    try:
        validated(fields, members)
    except InvalidRequest as exc:
        return str(json.loads(exc.detail)[0]["loc"])
    return None
