"""PaddleX's API as the clients of its server see it."""

from __future__ import annotations

import base64
import io
import json

import documents
import pytest
from paddlex_client import PNG, base64_of, pages_of, parse
from PIL import Image
from running import gateway
from vlm_standin import Asked, Standin


async def test_a_client_of_the_official_server_works_unchanged() -> None:
    """Base64 and `fileType` in; blocks, Markdown, pictures and sizes out, in PaddleX's envelope."""
    async with Standin(answer=lambda _: "Hello") as vlm, gateway(vlm.url) as running:
        payload = {"file": base64_of(PNG), "fileType": 1, "useChartRecognition": False, "layoutNms": True}
        answer = await running.http.post("/layout-parsing", json=payload | {"promptLabel": "ocr", "topP": 1})
    (page,) = pages_of(answer)
    body = answer.json()
    assert (body["errorCode"], body["errorMsg"], body["logId"]) == (0, "Success", answer.headers["x-request-id"])
    assert page["prunedResult"]["parsing_res_list"] == [
        {
            "block_label": "text",
            "block_content": "Hello",
            "block_bbox": [0, 0, 400, 200],
            "block_id": 0,
            "block_order": 1,
            "group_id": 0,
        }
    ]
    assert page["markdown"] == {"text": "Hello", "images": {}}
    assert page["prunedResult"]["layout_det_res"]["boxes"][0] == {
        "cls_id": 22,
        "label": "text",
        "score": 1.0,
        "coordinate": [0, 0, 400, 200],
        "order": 1,
    }
    for picture in (page["inputImage"], page["outputImages"]["layout_det_res"]):
        assert Image.open(io.BytesIO(base64.b64decode(picture))).size == (400, 200)
    assert body["result"]["dataInfo"] == {"width": 400, "height": 200, "type": "image"}


async def test_documents_tell_their_pages() -> None:
    """`dataInfo` has the size of every page of a PDF, rendered at 144 dpi as PaddleX does, and of a TIFF."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        pdf = await parse(running, documents.pdf(["a", "b"], (300, 200)), fileType=0, visualize=False)
        tiff = await parse(running, documents.tiff(["a", "b"]), fileType=1, visualize=False)
    assert pdf.json()["result"]["dataInfo"] == {
        "numPages": 2,
        "pages": [{"width": 600, "height": 400}] * 2,
        "type": "pdf",
    }
    assert tiff.json()["result"]["dataInfo"]["type"] == "tiff"
    assert [page["prunedResult"]["width"] for page in pages_of(tiff)] == [400, 400]


async def test_what_was_not_asked_for_is_left_out() -> None:
    """Without `visualize` and `returnMarkdownImages` no picture travels; the service has a default for the first."""
    async with Standin() as vlm, gateway(vlm.url, paddlex_visualize=False) as running:
        (page,) = pages_of(await parse(running, returnMarkdownImages=False))
        assert set(page) == {"prunedResult", "markdown"} and set(page["markdown"]) == {"text"}
        (page,) = pages_of(await parse(running, visualize=True))
        assert "inputImage" in page


async def test_reading_parameters_reach_the_model() -> None:
    """Sampling, token and pixel limits are in the request for the crop; `vlmExtraArgs` go before the others."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        await parse(
            running,
            visualize=False,
            temperature=0.5,
            topP=0.9,
            repetitionPenalty=1.1,
            maxNewTokens=99,
            minPixels=1000,
            maxPixels=2000,
            vlmExtraArgs={"ocr_max_pixels": 3000, "temperature": 0.25},
        )
    body = vlm.requests[0].body
    sampled = ("temperature", "top_p", "repetition_penalty", "max_completion_tokens", "mm_processor_kwargs")
    assert [body[name] for name in sampled] == [0.25, 0.9, 1.1, 99, {"min_pixels": 1000, "max_pixels": 3000}]


@pytest.mark.parametrize(
    ("label", "prompt"),
    [("table", "Table Recognition:"), ("seal", "Seal Recognition:"), (None, "OCR:")],
)
async def test_a_page_without_layout_is_read_with_its_prompt(label: str | None, prompt: str) -> None:
    """`promptLabel` says what the page is; there is no layout to show."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        (page,) = pages_of(await parse(running, useLayoutDetection=False, promptLabel=label))
    assert [asked.prompt for asked in vlm.requests] == [prompt]
    assert page["prunedResult"]["parsing_res_list"][0]["block_label"] == label or "ocr"
    assert "layout_det_res" not in page["prunedResult"] and page["outputImages"] == {}


async def test_spotting_gives_lines_and_corners() -> None:
    """`spotting_res` has the text and the polygon of every line."""

    def answer(_: Asked) -> str:
        return "Hi" + "".join(f"<|LOC_{n}|>" for n in (0, 0, 500, 0, 500, 500, 0, 500))

    async with Standin(answer=answer) as vlm, gateway(vlm.url) as running:
        (page,) = pages_of(await parse(running, useLayoutDetection=False, promptLabel="spotting"))
    assert page["prunedResult"]["spotting_res"] == {
        "rec_polys": [[[0, 0], [200, 0], [200, 100], [0, 100]]],
        "rec_texts": ["Hi"],
    }
    (name,) = page["outputImages"]
    picture = Image.open(io.BytesIO(base64.b64decode(page["outputImages"][name]))).convert("L")
    assert (name, picture.size) == ("spotting_res_img", (800, 200)), "the text stands beside the page"
    assert min(picture.crop((410, 5, 590, 95)).tobytes()) < 80


async def test_a_block_that_could_not_be_read_says_so() -> None:
    """PaddleX would fail the request; here the block stays, with a `block_error`."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        vlm.fail(says="cut", finish="length")
        (page,) = pages_of(await parse(running))
    (block,) = page["prunedResult"]["parsing_res_list"]
    assert (block["block_content"], block["block_error"]["code"]) == ("cut", "truncated")


BAD = [
    ("file", 7),
    ("fileType", 2),
    ("fileType", 0),  # it is a PNG
    ("file", "no base64!"),
    ("file", base64_of(b"no document")),
    ("file", base64_of(PNG[:50])),
    ("file", "http://127.0.0.1:1/a.png"),  # a private address
    ("file", "s3://bucket/key"),  # no store
    ("useDocOrientationClassify", True),
    ("useDocUnwarping", True),
    ("useLayoutDetection", "maybe"),
    ("useChartRecognition", "maybe"),
    ("useSealRecognition", []),
    ("useOcrForImageBlock", 3),
    ("layoutThreshold", 1.5),
    ("layoutThreshold", {"text": 0.5}),
    ("layoutThreshold", {"1": 2}),
    ("layoutThreshold", 0.5),  # the whole-page detector has none
    ("layoutNms", 2),
    ("layoutNms", False),
    ("layoutUnclipRatio", 0),
    ("layoutUnclipRatio", [1, 1, 1]),
    ("layoutUnclipRatio", 1.1),
    ("layoutMergeBboxesMode", "huge"),
    ("layoutMergeBboxesMode", {"1": "huge"}),
    ("layoutMergeBboxesMode", "large"),
    ("layoutShapeMode", "round"),
    ("layoutShapeMode", None),
    ("layoutShapeMode", "poly"),
    ("promptLabel", "poem"),
    ("promptLabel", "table"),  # with layout
    ("formatBlockContent", "maybe"),
    ("repetitionPenalty", 0),
    ("temperature", -1),
    ("topP", 0),
    ("topP", 1.2),
    ("minPixels", 0),
    ("maxPixels", -3),
    ("maxNewTokens", 0),
    ("mergeLayoutBlocks", "maybe"),
    ("markdownIgnoreLabels", "text"),
    ("vlmExtraArgs", 3),
    ("vlmExtraArgs", {"seed": 3}),
    ("prettifyMarkdown", None),
    ("showFormulaNumber", "maybe"),
    ("returnMarkdownImages", "maybe"),
    ("restructurePages", "maybe"),
    ("mergeTables", "maybe"),
    ("relevelTitles", "maybe"),
    ("visualize", "maybe"),
    ("outputFormats", ["pdf"]),
    ("logId", 3),
    ("useTableRecognition", True),  # of another pipeline
]


async def test_bad_values_are_named_in_the_envelope() -> None:
    """Every field that is wrong, impossible here or unknown is 422, with its name in `errorMsg`."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        for field, value in BAD:
            answer = await parse(running, **{field: value})
            body = answer.json()
            assert (answer.status_code, set(body)) == (422, {"logId", "errorCode", "errorMsg"}), (field, value)
            assert body["errorCode"] == 422
            assert json.loads(body["errorMsg"])[0]["loc"].startswith(f"body.{field}"), body
    assert vlm.requests == []


async def test_every_error_is_in_the_envelope() -> None:
    """What is no body, another method, a full house or a missing key: PaddleX's shape, and the caller's `logId`."""
    async with Standin() as vlm, gateway(vlm.url, gateway_api_keys="secret") as running:
        refused = await parse(running, logId="mine")
        assert (refused.status_code, refused.json()["errorCode"]) == (401, 401)
        running.http.headers["x-api-key"] = "secret"
        assert (await running.http.get("/layout-parsing")).json()["errorCode"] == 405
        for content in (b"", b"[]", b"{", b'{"file": "", "file": ""}'):
            answer = await running.http.post("/layout-parsing", content=content)
            assert (answer.status_code, answer.json()["errorCode"]) == (422, 422), content
        wrong = await parse(running, logId="mine", fileType=5)
        assert wrong.json()["logId"] == "mine"
        assert (await parse(running, logId="mine", visualize=False)).json()["logId"] == "mine"
        running.admission.draining = True
        away = await parse(running)
        assert (away.status_code, away.json()["errorCode"]) == (503, 503) and away.headers["retry-after"]
        assert (await running.http.get("/ocr")).headers["content-type"] == "application/problem+json"
