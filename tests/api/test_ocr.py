"""`POST /ocr` as its callers see it: transports, formats, options, forms of answer."""

from __future__ import annotations

import base64
import io
import json

import anyio
import documents
import httpx
import pytest
from PIL import Image
from pydantic import TypeAdapter
from running import Gateway, gateway, lines
from vlm_standin import Standin

from gateway.api import schemas

PNG = documents.png("Hello")


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def test_every_way_to_send_a_document_gives_the_same_answer() -> None:
    """Multipart, base64, data URL and raw bodies of every accepted type are one document."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        http = running.http
        answers = [
            await http.post("/ocr", files={"file": ("a.bin", PNG)}),
            await http.post("/ocr", json={"image": base64_of(PNG)}),
            await http.post("/ocr", json={"image": "data:image/png;base64," + base64_of(PNG)}),
            *[
                await running.ocr(PNG, {"content-type": kind})
                for kind in ("image/png", "image/anything", "application/pdf", "application/octet-stream")
            ],
            await running.ocr(PNG),  # no content type counts as raw
        ]
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert len({json.dumps(answer.json()["pages"]) for answer in answers}) == 1


FORMATS = {
    "png": PNG,
    "jpeg": documents.jpeg("Hello"),
    "webp": documents.encode(documents.picture("Hello"), "WEBP"),
    "bmp": documents.encode(documents.picture("Hello"), "BMP"),
    "gif": documents.encode(documents.picture("Hello"), "GIF"),
    "tiff": documents.tiff(["Hello", "again"]),
    "pdf": documents.pdf(["Hello", "again", "and again"]),
}


@pytest.mark.parametrize(("kind", "pages"), [(kind, {"tiff": 2, "pdf": 3}.get(kind, 1)) for kind in FORMATS])
async def test_every_format_is_read(kind: str, pages: int) -> None:
    """The bytes tell what it is; TIFF gives all frames, PDF all pages."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        answer = (await running.ocr(FORMATS[kind])).json()
    assert [page["page"] for page in answer["pages"]] == list(range(1, pages + 1))
    assert answer["usage"]["pages"] == pages
    assert answer["status"] == "complete"


async def test_the_answer_has_the_shape_of_the_contract() -> None:
    """Every member of the JSON answer, of its pages and of its blocks is there, and no other."""
    async with Standin(answer=lambda asked: "A line of text") as vlm, gateway(vlm.url) as running:
        answer = await running.ocr(PNG, {"X-Request-ID": "mine-1"})
    document = schemas.DocumentShape.model_validate_json(answer.content)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"] == document.id == "mine-1"
    assert document.model.layout == "whole-page"
    assert document.model.vlm == "PaddleOCR-VL-1.5-0.9B"
    assert document.markdown == document.pages[0].markdown == "A line of text"
    page = document.pages[0]
    assert (page.width, page.height) == (400, 200)
    assert (page.blocks[0].bbox, page.blocks[0].order) == ((0, 0, 400, 200), 0)
    assert page.blocks[0].content == document.results[0].text == "A line of text"
    assert document.usage.prompt_tokens == 228
    assert document.usage.completion_tokens == 61
    assert document.timings_ms.total >= document.timings_ms.recognition > 0


async def test_markdown_alone() -> None:
    """`Accept: text/markdown` gives the document's Markdown and nothing else."""
    async with Standin(answer=lambda asked: "Привет") as vlm, gateway(vlm.url) as running:
        answer = await running.ocr(documents.pdf(["a", "b"]), {"accept": "text/markdown"})
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.text == "Привет\n\nПривет"


async def test_pages_stream_in_order_each_as_soon_as_its_predecessors_are_done() -> None:
    """Page 1 arrives while page 3 is still held by the backend, and a closing line ends the stream."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        third = anyio.Event()
        vlm.fail(hang=True, picture=lambda jpeg: Image.open(io.BytesIO(jpeg)).width > 1000)
        data = documents.tiff(["one", "two"])
        wide = documents.encode(documents.picture("wide", (1200, 200)), "TIFF")
        first, second = (Image.open(io.BytesIO(blob)) for blob in (data, wide))
        out = io.BytesIO()
        first.save(out, "TIFF", save_all=True, append_images=[second])
        seen = []
        headers = {"accept": "application/x-ndjson"}
        async with running.http.stream("POST", "/ocr", content=out.getvalue(), headers=headers) as answer:
            async for line in answer.aiter_lines():
                seen.append(json.loads(line))
                if len(seen) == 2:
                    third.set()
                    vlm.heal()
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert third.is_set()
    pages = TypeAdapter(list[schemas.PageShape]).validate_python(seen[:-1])
    assert [page.page for page in pages] == [1, 2, 3]
    closing = schemas.ClosingShape.model_validate(seen[-1])
    assert (closing.status, closing.usage.pages, closing.id) == ("complete", 3, answer.headers["x-request-id"])


async def test_a_stream_that_cannot_go_on_says_so_in_its_last_line() -> None:
    """When the backend is lost between pages, the closing line is `failed` and has the error."""
    async with Standin() as vlm, gateway(vlm.url, request_timeout_s=3) as running:
        vlm.fail(hang=True, picture=lambda jpeg: Image.open(io.BytesIO(jpeg)).width > 1000)
        narrow, wide = documents.picture("one"), documents.picture("wide", (1200, 200))
        out = io.BytesIO()
        narrow.save(out, "TIFF", save_all=True, append_images=[wide])
        answer = await running.ocr(out.getvalue(), {"accept": "application/x-ndjson"})
    page, closing = lines(answer)
    assert answer.status_code == 200
    assert page["page"] == 1
    assert (closing["status"], closing["error"]["code"]) == ("failed", "deadline_exceeded")


async def test_a_stream_that_fails_before_its_first_page_has_the_status_of_the_error() -> None:
    """NDJSON or not, a bad document is a problem with its status."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        answer = await running.ocr(PNG[:60], {"accept": "application/x-ndjson"})
    assert (answer.status_code, answer.json()["code"]) == (400, "corrupt_document")


async def test_pages_are_selected() -> None:
    """`pages` is 1-based, repeats are read once, the order is the document's."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        answer = await running.ocr(documents.pdf(["a"] * 5), pages="4,2-3,2")
        assert [page["page"] for page in answer.json()["pages"]] == [2, 3, 4]
        assert len(vlm.requests) == 3


async def test_a_selection_of_a_long_document_is_served() -> None:
    """The selection counts against `MAX_PAGES`, not the document."""
    async with Standin() as vlm, gateway(vlm.url, max_pages=2) as running:
        data = documents.pdf(["a"] * 5)
        assert (await running.ocr(data, pages="4-5")).status_code == 200
        answer = await running.ocr(data)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_pages")


@pytest.mark.parametrize(
    ("task", "prompt"), [("ocr", "OCR:"), ("table", "Table Recognition:"), ("formula", "Formula Recognition:")]
)
async def test_without_layout_the_page_is_read_with_the_task(task: str, prompt: str) -> None:
    """`layout=false` asks for the whole page once, with the prompt of the task."""
    async with Standin(answer=lambda asked: "<fcel>1<nl>") as vlm, gateway(vlm.url) as running:
        answer = await running.ocr(PNG, layout="false", task=task)
        assert answer.json()["model"]["layout"] == "whole-page"
        assert [asked.prompt for asked in vlm.requests] == [prompt]


async def test_a_batch_gives_way_to_whoever_waits() -> None:
    """With one seat at the backend, an interactive page is read before the rest of a batch that came first."""
    async with Standin() as vlm, gateway(vlm.url, vlm_max_in_flight=1) as running:
        vlm.fail(hang=True)
        done: list[str] = []

        async def send(data: bytes, priority: str) -> None:
            await running.ocr(data, priority=priority)
            done.append(priority)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, documents.pdf(["a"] * 4), "batch")
            await vlm.until(lambda: vlm.in_flight == 1)
            tasks.start_soon(send, PNG, "interactive")
            seats = running.service.pipeline.queues["seat"]
            while seats.waiting < 4:  # noqa: ASYNC110
                await anyio.sleep(0.01)
            vlm.heal()
        assert done == ["interactive", "batch"]


async def test_a_table_over_two_pages_is_joined_where_asked() -> None:
    """With `join_tables` the first part has all rows; pages sent one by one cannot be joined, and say so."""
    rows = "<fcel>{0}<fcel>1<nl><fcel>{0}<fcel>2<nl>"
    vlm = Standin(answer=lambda asked: rows.format(len(vlm.requests)))
    async with vlm, gateway(vlm.url, layout_detector="whole-page") as running:
        data = documents.pdf(["a", "b"])
        whole = {"layout": "false", "task": "table"}
        apart = (await running.ocr(data, **whole)).json()
        joined = (await running.ocr(data, join_tables="true", level_titles="true", **whole)).json()
        refused = await running.ocr(data, {"accept": "application/x-ndjson"}, join_tables="true")
    assert [page["markdown"].count("<tr>") for page in apart["pages"]] == [2, 2]
    assert [page["markdown"].count("<tr>") for page in joined["pages"]] == [4, 0]
    assert joined["markdown"].count("<table") == 1
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


async def test_the_language_is_passed_on_as_a_hint() -> None:
    """The backend may look at it; it is no part of the prompt."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        await running.ocr(PNG, language="RU")
        assert vlm.requests[0].headers["content-language"] == "ru"
        assert vlm.requests[0].prompt == "OCR:"


async def test_a_region_that_cannot_be_read_is_a_block_with_an_error() -> None:
    """The page lives, the document is `partial`, and the Markdown has a word about it."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        vlm.fail(status=400, message="cannot identify image file", type="BadRequestError", times=1)
        answer = await running.ocr(documents.pdf(["a", "b"]))
    document = schemas.DocumentShape.model_validate_json(answer.content)
    failed = [block for page in document.pages for block in page.blocks if block.error]
    assert answer.status_code == 200
    assert (document.status, document.usage.failed_regions, len(failed)) == ("partial", 1, 1)
    assert failed[0].content == ""
    assert failed[0].error is not None
    assert failed[0].error.code in document.markdown


async def test_a_cut_answer_is_flagged_and_kept() -> None:
    """An answer that ran into the token limit is no complete one, and its text is not thrown away."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        vlm.fail(says="The beginning of", finish="length")
        document = (await running.ocr(PNG)).json()
    block = document["pages"][0]["blocks"][0]
    assert document["status"] == "partial"
    assert (block["content"], block["error"]["code"]) == ("The beginning of", "truncated")


async def test_an_answer_that_runs_away_twice_is_flagged_and_trimmed() -> None:
    """What came before it began to repeat itself is kept, and the document says that it is not whole."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        vlm.fail(says="The end. " + "and so on " * 2000)
        document = (await running.ocr(PNG)).json()
    block = document["pages"][0]["blocks"][0]
    assert document["status"] == "partial"
    assert (block["content"], block["error"]["code"]) == ("The end. and so on", "repetition")
    assert "repetition_trimmed" in block["notes"]


async def test_a_document_sent_again_costs_the_backend_nothing() -> None:
    """Its crops are equal, and so are the answers."""
    async with Standin() as vlm, gateway(vlm.url, cache_mb=1) as running:
        first, second = [(await running.ocr(PNG)).json() for _ in range(2)]
    assert len(vlm.requests) == 1
    assert (first["pages"][0]["blocks"], first["usage"]) == (second["pages"][0]["blocks"], second["usage"])


async def test_many_documents_at_once_get_their_own_answers() -> None:
    """Answers do not cross between requests."""
    widths: dict[int, str] = {}

    async def send(running: Gateway, width: int) -> None:
        widths[width] = (await running.ocr(documents.png("x", (width, 100)))).json()["markdown"]

    vlm = Standin(answer=lambda asked: str(Image.open(io.BytesIO(asked.picture)).width))
    async with vlm, gateway(vlm.url) as running, anyio.create_task_group() as tasks:
        for width in range(200, 240):
            tasks.start_soon(send, running, width)
    assert widths == {width: str(width) for width in range(200, 240)}


async def test_a_caller_that_leaves_ends_its_work_at_the_backend() -> None:
    """The region's request is closed, and the place in the house is free again."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        vlm.fail(hang=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_ignoring_its_end, running.http, PNG)
            await vlm.until(lambda: vlm.in_flight == 1)
            tasks.cancel_scope.cancel()
        await vlm.until(lambda: vlm.in_flight == 0)
        assert vlm.requests[0].outcome == "gone"
        vlm.heal()
        assert (await running.ocr(PNG)).status_code == 200
        assert running.admission.admitted == 0


async def _ignoring_its_end(http: httpx.AsyncClient, data: bytes) -> None:
    await http.post("/ocr", content=data)
