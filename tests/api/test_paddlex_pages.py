"""Documents through PaddleX's API: what is done over all their pages, at once and on stored pages."""

from __future__ import annotations

import base64
import io
from typing import Any

import documents
import httpx
import pytest
from paddlex_client import pages_of, parse
from running import Gateway, gateway
from vlm_standin import Asked, Standin

from gateway.api.paddlex import schemas

TABLE = "<table><tr><td>{}</td><td>{}</td></tr></table>"


def block(label: str, content: str, box: tuple[int, int, int, int] = (0, 0, 100, 50), **more: Any) -> dict[str, Any]:
    return {"block_label": label, "block_content": content, "block_bbox": box, **more}


def stored(*blocks: dict[str, Any], images: dict[str, str] | None = None, **settings: Any) -> dict[str, Any]:
    """A page as a client of the official server kept it."""
    pruned = {"page_count": None, "width": 200, "height": 300, "parsing_res_list": blocks}
    pruned |= {"model_settings": {"use_layout_detection": True, **settings}, "layout_det_res": {"boxes": [len(blocks)]}}
    return {"prunedResult": pruned, "markdownImages": images}


async def restructure(running: Gateway, *pages: dict[str, Any], **fields: Any) -> httpx.Response:
    return await running.http.post("/restructure-pages", json={"pages": pages, **fields})


def restructured(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    schemas.RestructuredShape.model_validate(answer.json())
    return list(answer.json()["result"]["layoutParsingResults"])


async def test_a_client_parses_keeps_and_restructures() -> None:
    """What `/layout-parsing` gave goes into `/restructure-pages` as it is; its blocks come back with global ids."""
    async with Standin(answer=lambda _: "Hello") as vlm, gateway(vlm.url) as running:
        parsed = pages_of(await parse(running, documents.pdf(["a", "b"]), fileType=0, visualize=False))
        kept = [{"prunedResult": p["prunedResult"], "markdownImages": p["markdown"]["images"]} for p in parsed]
        again = restructured(await restructure(running, *kept, logId="mine"))
        (whole,) = restructured(await restructure(running, *kept, concatenatePages=True))
        empty = await restructure(running)
    assert [page["markdown"] for page in again] == [page["markdown"] for page in parsed]
    blocks = [page["prunedResult"]["parsing_res_list"][0] for page in again]
    assert [(one["block_id"], one["global_block_id"], one["global_group_id"]) for one in blocks] == [
        (0, 0, 0),
        (0, 1, 1),
    ]
    assert whole["markdown"]["text"] == "Hello\n\nHello"
    assert [one["block_id"] for one in whole["prunedResult"]["parsing_res_list"]] == [0, 1]
    assert whole["prunedResult"]["page_count"] == 2
    boxes = [page["prunedResult"]["layout_det_res"] for page in parsed]
    assert whole["prunedResult"]["layout_det_res"] == boxes
    assert restructured(empty) == []


async def test_tables_are_joined_and_titles_levelled() -> None:
    """Each only where it is wanted; the rows move to the first part, whose id the second one carries."""
    pages = (
        stored(block("paragraph_title", "1 One"), block("table", TABLE.format("a", "b"))),
        stored(block("table", TABLE.format("c", "d")), block("paragraph_title", "## 1.1 Deep", (0, 0, 50, 20))),
    )
    async with Standin() as vlm, gateway(vlm.url) as running:
        done = restructured(await restructure(running, *pages))
        left = restructured(await restructure(running, *pages, mergeTables=False, relevelTitles=False))
    first, second = (page["prunedResult"]["parsing_res_list"] for page in done)
    assert first[1]["block_content"].count("<tr>") == 2
    assert (second[0]["block_content"], second[0]["global_group_id"]) == ("", first[1]["global_block_id"])
    assert [page["markdown"]["text"].count("### 1.1 Deep") for page in done] == [0, 1]
    assert [page["prunedResult"]["parsing_res_list"][0]["block_content"] for page in left] == [
        "1 One",
        TABLE.format("c", "d"),
    ]
    assert "\n\n### 1.1 Deep" in left[1]["markdown"]["text"]  # by its dot


async def test_stored_pages_keep_their_pictures_and_settings() -> None:
    """Pictures come back where they are wanted, and the page is written as its own settings say."""
    page = stored(
        block("image", ""),
        block("header", "kept"),
        block("text", "gone"),
        block("display_formula", "$$ a $$"),
        block("formula_number", "(1)"),
        images={"imgs/img_in_image_box_0_0_100_50.jpg": "aGk="},
        markdown_ignore_labels=["text"],
    )
    async with Standin() as vlm, gateway(vlm.url) as running:
        (shown,) = restructured(await restructure(running, page, prettifyMarkdown=False, showFormulaNumber=True))
        (bare,) = restructured(await restructure(running, page, returnMarkdownImages=False))
    assert shown["markdown"]["images"] == page["markdownImages"] and set(bare["markdown"]) == {"text"}
    assert shown["markdown"]["text"] == "![](imgs/img_in_image_box_0_0_100_50.jpg)\n\nkept\n\n$$ a  \\tag*{(1)}$$"
    assert '<img src="imgs/img_in_image_box_0_0_100_50.jpg" alt="Image" width="50%" />' in bare["markdown"]["text"]


async def test_a_document_is_restructured_while_it_is_read() -> None:
    """`restructurePages` joins the tables of the pages of one request."""
    answers = iter(["<fcel>a<fcel>b<nl>", "<fcel>c<fcel>d<nl>"])
    async with Standin(answer=lambda _: next(answers)) as vlm, gateway(vlm.url, vlm_max_in_flight=1) as running:
        fields = {"useLayoutDetection": False, "promptLabel": "table", "visualize": False, "mergeLayoutBlocks": False}
        pages = pages_of(await parse(running, documents.pdf(["a", "b"]), restructurePages=True, **fields))
    contents = [page["prunedResult"]["parsing_res_list"][0]["block_content"] for page in pages]
    assert sorted(content.count("<tr>") for content in contents) == [0, 2]
    assert pages[1]["prunedResult"]["parsing_res_list"][0]["global_group_id"] == 0


BAD = [
    ({"pages": 3}, "body.pages"),
    ({"pages": [{}]}, "body.pages[0].prunedResult"),
    ({"pages": [{"prunedResult": {"width": 3, "height": 3}}]}, "body.pages[0].prunedResult.parsing_res_list"),
    ({"pages": [stored(block("text", "a", (1, 2)))]}, "body.pages[0].prunedResult.parsing_res_list[0].block_bbox[2]"),  # type: ignore[arg-type]
    ({"pages": [stored(images={"a": 3})]}, "body.pages[0].markdownImages.a"),  # type: ignore[dict-item]
    ({"pages": [], "concatenatePages": True}, "body.pages"),
    ({"pages": [], "mergeTables": "maybe"}, "body.mergeTables"),
    ({"pages": [], "relevelTitles": None}, "body.relevelTitles"),
    ({"pages": [], "visualize": True}, "body.visualize"),
    ({}, "body.pages"),
]


async def test_bad_pages_are_named() -> None:
    """422 in the envelope, with the place of what is wrong."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        for body, place in BAD:
            answer = await running.http.post("/restructure-pages", json=body)
            assert answer.status_code == answer.json()["errorCode"] == 422, body
            assert f'"loc": "{place}' in answer.json()["errorMsg"], answer.text


async def test_word_documents_come_beside_the_rest() -> None:
    """`outputFormats` gives a .docx for every page, of a fresh document and of stored pages."""
    docx = pytest.importorskip("docx")

    def text_of(page: dict[str, Any]) -> list[str]:
        assert page["exports"]["docx"]["fileName"] == "page_1.docx"
        file = io.BytesIO(base64.b64decode(page["exports"]["docx"]["content"]))
        return [paragraph.text for paragraph in docx.Document(file).paragraphs]

    async with Standin(answer=lambda asked: said(asked)) as vlm, gateway(vlm.url) as running:
        (page,) = pages_of(await parse(running, outputFormats=["docx"]))
        assert text_of(page) == ["Hello", "there"]
        kept = {"prunedResult": page["prunedResult"]}
        (page,) = restructured(await restructure(running, kept, outputFormats=["docx"]))
        assert text_of(page) == ["Hello", "there"]
        wrong = stored(block("image", ""), images={"imgs/img_in_image_box_0_0_100_50.jpg": "no base64!"})
        answer = await restructure(running, wrong, outputFormats=["docx"])
        assert answer.status_code == 422 and "markdownImages" in answer.json()["errorMsg"]


def said(_: Asked) -> str:
    return "Hello\nthere"
