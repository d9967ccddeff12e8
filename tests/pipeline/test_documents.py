"""The order of the stages: pages bounded, in order, and regions read as the layout says."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import documents
import pytest
from PIL import Image
from vlm_harness import reading
from vlm_standin import Standin

from gateway.document import Options, PageResult, Pixels, Region
from gateway.errors import BackendError, BadDocument
from gateway.intake.pages import Decoder
from gateway.layout.owner import Layout
from gateway.pipeline import Pipeline

INK = "\n".join("x" * 33)
"""Something in every band of a page."""


class Bands:
    """A detector with two bands of text, a picture and a page number; it fails on pages that are `forbidden` wide."""

    name = "bands"
    max_batch = 2

    def __init__(self, forbidden: int = 0) -> None:
        self.forbidden = forbidden
        self.seen = 0

    def detect(self, pages: Sequence[Pixels]) -> list[tuple[Region, ...]]:
        self.seen += len(pages)
        return [self._regions(pixels) for pixels in pages]

    def _regions(self, pixels: Pixels) -> tuple[Region, ...]:
        height, width = pixels.shape[:2]
        if width == self.forbidden:
            raise ValueError("not this one")
        quarter = height // 4
        labels = ("paragraph_title", "text", "image", "number")
        return tuple(
            Region(label, (0, top * quarter, width, (top + 1) * quarter - 10), 0.9, None if label == "number" else top)
            for top, label in enumerate(labels)
        )


@asynccontextmanager
async def pipeline(vlm: Standin, detector: Bands | None = None, **bounds: int) -> AsyncIterator[Pipeline]:
    async with (
        Decoder(dpi=72) as decoder,
        Layout(lambda: detector or Bands()) as layout,
        reading(vlm.url, attempts=1, patience=0.5) as recognizer,
    ):
        await layout.wait_ready()
        yield Pipeline(decoder, layout, recognizer, **bounds)


async def pages_of(running: Pipeline, data: bytes, options: Options | None = None) -> list[PageResult]:
    async with running.read(data, options or Options()) as run:
        return [page async for page in run.pages]


async def test_regions_are_read_by_their_labels_and_pictures_are_not() -> None:
    """Text is asked for, a picture is cropped only, a page number is read and left out of the Markdown."""
    async with Standin(answer=lambda asked: "words") as vlm, pipeline(vlm) as running:
        page = (await pages_of(running, documents.png(INK, (300, 400)), Options(images="inline")))[0]
        assert len(vlm.requests) == 3
    assert [(block.label, block.content) for block in page.blocks] == [
        ("paragraph_title", "words"), ("text", "words"), ("image", ""), ("number", "words"),
    ]  # fmt: skip
    assert [block.order for block in page.blocks] == [0, 1, 2, None]
    (path,) = page.images
    assert path == "imgs/img_in_image_box_0_200_300_290.jpg"
    assert path in page.markdown
    assert page.images[path].startswith(b"\xff\xd8")
    assert page.markdown.count("words") == 2
    assert (page.usage.regions, page.usage.failed_regions) == (4, 0)


async def test_a_page_whose_layout_fails_is_a_block_that_says_so() -> None:
    """The other pages of the document are read."""
    async with Standin() as vlm, pipeline(vlm, Bands(forbidden=300)) as running:
        first, second = await pages_of(running, _two_widths())
    assert [block.error.code for block in first.blocks if block.error] == ["layout_failed"]
    assert first.usage.failed_regions == 1
    assert second.usage.failed_regions == 0


def _two_widths() -> bytes:
    narrow, wide = documents.picture(INK, (300, 400)), documents.picture(INK, (320, 400))
    return documents.encode(narrow, "TIFF", save_all=True, append_images=[wide])


async def test_pages_begun_and_not_taken_are_bounded() -> None:
    """A caller that takes no page holds up its own document after `pages_ahead`, however long it is."""
    detector = Bands()
    async with Standin() as vlm, pipeline(vlm, detector, pages_ahead=2) as running:
        async with running.read(documents.pdf([INK] * 30), Options()) as run:
            first = await anext(aiter(run.pages))
            await vlm.until(lambda: vlm.in_flight == 0 and len(vlm.requests) >= 3 * 3)
            await anyio.wait_all_tasks_blocked()
            assert first.page == 1
            assert detector.seen <= 5
        assert len(vlm.requests) <= 5 * 3


async def test_pages_with_pixels_in_memory_are_bounded_over_all_documents() -> None:
    """However many documents are read, only so many pages are decoded at once; all are read in the end."""
    async with Standin() as vlm, pipeline(vlm, pages_in_memory=2) as running:
        vlm.fail(hang=True)
        results: list[list[PageResult]] = []

        async def read() -> None:
            results.append(await pages_of(running, documents.pdf([INK] * 3)))

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(read)
            await vlm.until(lambda: vlm.in_flight == 2 * 3)
            await anyio.wait_all_tasks_blocked()
            assert vlm.in_flight == 2 * 3
            vlm.heal()
    assert [[page.page for page in result] for result in results] == [[1, 2, 3]] * 4


async def test_leaving_early_ends_what_was_begun() -> None:
    """A caller that has seen enough leaves no request at the backend."""
    async with Standin() as vlm, pipeline(vlm) as running:
        vlm.fail(hang=True)
        async with running.read(documents.pdf([INK] * 3), Options()):
            await vlm.until(lambda: vlm.in_flight > 0)
        await vlm.until(lambda: vlm.in_flight == 0)
        vlm.heal()
        assert len(await pages_of(running, documents.png(INK, (300, 400)))) == 1


async def test_a_lost_backend_is_the_documents_end() -> None:
    """What is the infrastructure's fault is one error, not a document full of holes."""
    async with Standin() as vlm, pipeline(vlm) as running:
        vlm.fail(status=503)
        vlm.health = 500
        with pytest.raises(BackendError):
            await pages_of(running, documents.pdf([INK] * 3))


async def test_a_page_that_cannot_be_decoded_ends_its_document_alone() -> None:
    """A document that breaks off is an error; the next one is read."""
    async with Standin() as vlm, pipeline(vlm) as running:
        with pytest.raises(BadDocument):
            await pages_of(running, documents.png(INK, (300, 400))[:900])
        assert len(await pages_of(running, documents.png(INK, (300, 400)))) == 1


async def test_a_blank_region_is_not_sent() -> None:
    """It is an empty block with a note, and no failure; a page that is blank all over needs no backend."""
    async with Standin(answer=lambda asked: "words") as vlm, pipeline(vlm) as running:
        (page,) = await pages_of(running, documents.png("x", (300, 400)))
        assert len(vlm.requests) == 1
        assert [(block.content, block.notes) for block in page.blocks] == [
            ("words", ()), ("", ("blank",)), ("", ()), ("", ("blank",)),
        ]  # fmt: skip
        assert page.usage.failed_regions == 0
        (page,) = await pages_of(running, documents.png("", (300, 400)), Options(layout=False))
        assert (page.markdown, len(vlm.requests)) == ("", 1)


async def test_a_crop_is_sent_within_the_models_budget() -> None:
    """A whole page of four megapixels is scaled down before it is encoded."""
    async with Standin() as vlm, pipeline(vlm) as running:
        await pages_of(running, documents.png(INK, (1654, 2339)), Options(layout=False))
    with Image.open(io.BytesIO(vlm.requests[0].picture)) as sent:
        width, height = sent.size
    assert width * height <= 1_003_520 < (width + 28) * (height + 28)


async def test_a_short_document_does_not_wait_for_a_long_one() -> None:
    """Of the pages that get room, the newcomer's is the next, though many of the long one's came before."""
    async with Standin() as vlm, pipeline(vlm, pages_in_memory=2) as running, anyio.create_task_group() as tasks:
        vlm.fail(hang=True)
        done: list[int] = []

        async def read(count: int) -> None:
            async with running.read(documents.pdf([INK] * count), Options()) as run:
                done.extend([count async for _ in run.pages])

        tasks.start_soon(read, 30)
        await vlm.until(lambda: vlm.in_flight == 2 * 3)
        tasks.start_soon(read, 1)
        await anyio.sleep(0.3)
        vlm.heal()
    assert done.index(1) <= 4


async def test_a_batch_waits_for_what_is_interactive() -> None:
    """A page of a batch that came first gets room after an interactive document that came later."""
    async with Standin() as vlm, pipeline(vlm, pages_in_memory=1) as running, anyio.create_task_group() as tasks:
        vlm.fail(hang=True)
        done: list[str] = []

        async def read(name: str, options: Options) -> None:
            await pages_of(running, documents.png(INK, (300, 400)), options)
            done.append(name)

        tasks.start_soon(read, "first", Options())
        await vlm.until(lambda: vlm.in_flight == 3)
        tasks.start_soon(read, "batch", Options(priority="batch"))
        await anyio.sleep(0.5)
        tasks.start_soon(read, "interactive", Options())
        await anyio.sleep(0.5)
        vlm.heal()
    assert done == ["first", "interactive", "batch"]


async def test_a_large_page_takes_the_room_of_several() -> None:
    """What is bounded are bytes: beside a page of 48 MB there is no room for two more."""
    async with Standin() as vlm, pipeline(vlm, pages_in_memory=3) as running, anyio.create_task_group() as tasks:
        vlm.fail(hang=True)
        tasks.start_soon(pages_of, running, documents.png(INK, (4200, 4000)))
        await vlm.until(lambda: vlm.in_flight == 2)
        tasks.start_soon(pages_of, running, documents.png(INK, (300, 400)))
        await anyio.sleep(0.5)
        assert vlm.in_flight == 2
        vlm.heal()
        await vlm.until(lambda: len(vlm.requests) == 2 + 3)
