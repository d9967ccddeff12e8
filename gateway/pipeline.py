"""The one room that knows the order of the stages: decode, layout, crops, recognition, assembly.

A document's pages flow side by side, each through its stages as soon as there is room, and come out in page order.
What is bounded: pages with pixels in memory (for all documents together), and pages of one document begun and not
yet taken by the caller, so that a slow caller holds back its own document only. Wherever pages wait, turns go by
document.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from gateway import metrics
from gateway.assemble import (
    IGNORED,
    Assembled,
    Style,
    assemble,
    image_path,
    join_tables,
    level_titles,
    page_markdown,
)
from gateway.document import (
    Block,
    Failure,
    Kind,
    Options,
    Page,
    PageResult,
    Pixels,
    Planned,
    Reading,
    Recognition,
    Region,
    Task,
    Usage,
    View,
)
from gateway.errors import InvalidRequest, LayoutFailed, RegionFailed, one_error
from gateway.intake.pages import Decoder, Document
from gateway.layout.owner import Layout
from gateway.layout.preparation import Preparer, Step
from gateway.regions import (
    Rules,
    crop,
    encode,
    encode_jpeg,
    fitted,
    is_blank,
    overlay,
    picture,
    plan,
    plan_whole_page,
)
from gateway.turns import Party, Turns
from gateway.vlm.client import Recognizer
from gateway.vlm.prompts import pixel_budget

Outcome = Recognition | Failure

WHOLE_PAGE = "whole-page"

BLANK = Recognition("", notes=("blank",))
"""What is known of a region of one colour without asking anybody."""

_PRIORITIES = {"interactive": 0, "batch": 1}

_USUAL_PAGE = 16 << 20
"""Bytes; A4 at 200 dpi is 12 MB. A page of several times as much counts as several."""


@dataclass(slots=True)
class _Slot:
    """The place of one page in the order of its document."""

    number: int
    done: anyio.Event = field(default_factory=anyio.Event)
    result: PageResult | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """What is on a page: the `regions` a detector found, what of them is read, and the outcomes known already."""

    planned: tuple[Planned, ...]
    regions: tuple[Region, ...] = ()
    known: Mapping[int, Outcome] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """A document being read: `kind` is told from its bytes, `layout` names the detector, `pages` gives each page once,
    in order."""

    kind: Kind
    layout: str
    pages: AsyncIterator[PageResult]


class Pipeline:
    """Reads documents, any number at once. `pages_in_memory` bounds them together, `pages_ahead` each one.

    Pages are counted as of A4 at 200 dpi; larger ones count as several once their size is known.
    """

    def __init__(
        self,
        decoder: Decoder,
        layout: Layout,
        recognizer: Recognizer,
        preparer: Preparer | None = None,
        *,
        pages_in_memory: int = 32,
        pages_ahead: int = 16,
    ) -> None:
        self._decoder = decoder
        self._layout = layout
        self._recognizer = recognizer
        self._preparer = preparer or Preparer()
        self._room = Turns(pages_in_memory)
        self._finding = Turns(2)
        self._pages_ahead = pages_ahead

    @property
    def adjustable(self) -> bool:
        """True when the detector that is loaded takes a `detection` of the caller's."""
        return self._layout.adjustable

    @property
    def preparing(self) -> frozenset[Step]:
        """What can be done to pages before they are read."""
        return self._preparer.steps

    @asynccontextmanager
    async def read(self, data: bytes, options: Options) -> AsyncIterator[Run]:
        """Read the document in `data` for the body of the `async with`; leaving it cancels what is not done.

        Raises the errors of intake (`BadDocument`, `TooLarge`, `Unsupported`, `InvalidRequest` for `pages`),
        `InvalidRequest` for `orientation` and `unwarping`, and, out of the iteration, `BackendError`. A region that
        cannot be read is a `Failure` in its block.
        """
        if missing := sorted(_steps(options) - self._preparer.steps):
            raise InvalidRequest(f"{missing[0]}: this service has no model for it (`DOC_PREPARATION`)")
        party = Party(_PRIORITIES[options.priority])
        with one_error():
            async with (
                self._decoder.open(data, options.pages, options.dpi, party) as document,
                anyio.create_task_group() as tasks,
            ):
                begun, slots = anyio.create_memory_object_stream[_Slot](self._pages_ahead)
                tasks.start_soon(self._begin_pages, document, options, begun, party)
                with slots:
                    layout = self._layout.name if options.layout else WHOLE_PAGE
                    yield Run(document.kind, layout, _in_order(slots))
                    tasks.cancel_scope.cancel()

    async def _begin_pages(
        self, document: Document, options: Options, begun: MemoryObjectSendStream[_Slot], party: Party
    ) -> None:
        async with begun, anyio.create_task_group() as tasks:
            for number in document.numbers:
                slot = _Slot(number)
                await begun.send(slot)
                tasks.start_soon(self._read_page, document, options, slot, party)

    async def _read_page(self, document: Document, options: Options, slot: _Slot, party: Party) -> None:
        async with self._room.place(party) as place:
            timings: dict[str, float] = {}
            with _timed(timings, "decode"):
                page = await document.page(slot.number)
            place.grow(max(1, page.pixels.nbytes // _USUAL_PAGE))
            slot.result = await self._read_pixels(page, options, timings, party)
        slot.done.set()

    async def _read_pixels(self, page: Page, options: Options, timings: dict[str, float], party: Party) -> PageResult:
        given, preparation = page, None
        with _timed(timings, "layout"):
            try:
                if steps := _steps(options):
                    page, preparation = await self._preparer.prepare(page, steps)
                found = await self._find(page, options, party)
            except LayoutFailed as error:
                whole = plan_whole_page(page.width, page.height, Task.OCR)
                found = _Found(whole, known={0: Failure(error.code, error.detail)})
        outcomes = dict(found.known)
        with _timed(timings, "recognition"):
            async with anyio.create_task_group() as tasks:
                for index, item in enumerate(found.planned):
                    if item.reading is not None and index not in outcomes:
                        read = partial(self._read_region, page.pixels, item.reading, options, party)
                        tasks.start_soon(_keep, outcomes, index, read)
        finish = partial(_assembled, page, found, outcomes, options, timings)
        result = await anyio.to_thread.run_sync(finish)
        if preparation is not None:
            result = replace(result, preparation=preparation)
        if "given" in options.views.names:
            file = await anyio.to_thread.run_sync(encode, given.pixels, options.views.form, options.views.longest)
            result = replace(result, views={"given": file, **result.views})
        _count(result)
        return result

    async def _find(self, page: Page, options: Options, party: Party) -> _Found:
        """The blocks of a page. Raises `LayoutFailed`."""
        if not options.layout:
            whole = plan_whole_page(page.width, page.height, options.task)
            return await anyio.to_thread.run_sync(_without_blanks, page.pixels, _Found(whole))
        self._finding.total = 2 * self._layout.max_batch
        async with self._finding.place(party):
            regions = await self._layout.detect(page.pixels, options.detection)
        return await anyio.to_thread.run_sync(_planned, page.pixels, regions, options)

    async def _read_region(self, pixels: Pixels, reading: Reading, options: Options, party: Party) -> Outcome:
        most = pixel_budget(reading.task, options.sampling)[1]
        try:
            return await self._recognizer.read(
                partial(_jpeg, pixels, reading, most),
                reading.task,
                language=options.language,
                sampling=options.sampling,
                party=party,
            )
        except RegionFailed as error:
            return Failure(error.code, error.detail)


def _steps(options: Options) -> frozenset[Step]:
    wanted: dict[Step, bool] = {"orientation": options.orientation, "unwarping": options.unwarping}
    return frozenset(step for step, wants in wanted.items() if wants)


def style_of(options: Options) -> Style:
    """How the Markdown of a document with these options is written."""
    ignored = IGNORED if options.ignored is None else options.ignored
    return Style(options.pretty, options.formula_numbers, options.charts, options.seals, options.pictures, ignored)


def over_pages(pages: list[PageResult], options: Options) -> list[PageResult]:
    """The pages of a whole document, with what `options` want done over all of them: tables joined, titles levelled."""
    if not (options.join_tables or options.level_titles):
        return pages
    blocks: Sequence[Sequence[Block]] = [page.blocks for page in pages]
    if options.join_tables:
        blocks = join_tables(blocks)
    if options.level_titles:
        blocks = level_titles(blocks)
    style = style_of(options)
    return [
        replace(page, blocks=tuple(changed), markdown=page_markdown(changed, page.width, style))
        for page, changed in zip(pages, blocks, strict=True)
    ]


async def _keep(outcomes: dict[int, Outcome], index: int, read: Callable[[], Awaitable[Outcome]]) -> None:
    outcomes[index] = await read()


async def _in_order(slots: MemoryObjectReceiveStream[_Slot]) -> AsyncIterator[PageResult]:
    async for slot in slots:
        await slot.done.wait()
        assert slot.result is not None
        yield slot.result


def _planned(pixels: Pixels, regions: tuple[Region, ...], options: Options) -> _Found:
    rules = Rules(options.charts, options.seals, options.pictures, options.merge)
    return _without_blanks(pixels, _Found(plan(regions, rules), regions))


def _without_blanks(pixels: Pixels, found: _Found) -> _Found:
    blanks = {
        index: BLANK
        for index, item in enumerate(found.planned)
        if item.reading is not None and is_blank(pixels, item.reading)
    }
    return replace(found, known=blanks)


def _jpeg(pixels: Pixels, reading: Reading, most: int) -> bytes:
    return encode_jpeg(fitted(crop(pixels, reading), most))


def _assembled(
    page: Page,
    found: _Found,
    outcomes: Mapping[int, Outcome],
    options: Options,
    timings: dict[str, float],
) -> PageResult:
    done = assemble(found.planned, outcomes, page.width, style_of(options))
    shown = _shown(done, found.regions, options)
    images = {path: encode_jpeg(picture(page.pixels, region)) for path, region in shown.items()}
    read = [outcome for outcome in outcomes.values() if isinstance(outcome, Recognition)]
    usage = Usage(
        pages=1,
        regions=len(done.blocks),
        failed_regions=sum(block.error is not None for block in done.blocks),
        prompt_tokens=sum(recognition.prompt_tokens for recognition in read),
        completion_tokens=sum(recognition.completion_tokens for recognition in read),
    )
    return PageResult(
        page=page.number,
        width=page.width,
        height=page.height,
        blocks=done.blocks,
        markdown=done.markdown,
        usage=usage,
        images=images,
        timings_ms=timings,
        regions=found.regions,
        views={name: _view(name, page, done.blocks, options) for name in options.views.names if name != "given"},
    )


def _shown(done: Assembled, regions: Sequence[Region], options: Options) -> dict[str, Region]:
    """The pictures that are returned, by their paths: with `all`, those too that lost to an overlapping region."""
    if options.images == "all":
        dropped = {image_path(r.label, r.bbox): r for r in regions if r.label in ("image", "seal")}
        return dropped | done.pictures
    wanted = options.images == "inline"
    return {path: region for path, region in done.pictures.items() if wanted and path in done.markdown}


def _view(name: View, page: Page, blocks: Sequence[Block], options: Options) -> bytes:
    pixels = page.pixels if name == "page" else overlay(page.pixels, blocks)
    return encode(pixels, options.views.form, options.views.longest)


def _count(result: PageResult) -> None:
    metrics.PAGES.inc()
    metrics.REGIONS.labels(outcome="failed").inc(result.usage.failed_regions)
    metrics.REGIONS.labels(outcome="read").inc(result.usage.regions - result.usage.failed_regions)
    for stage, ms in result.timings_ms.items():
        metrics.STAGE_SECONDS.labels(stage=stage).inc(ms / 1000)


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    begun = time.monotonic()
    try:
        yield
    finally:
        timings[stage] = (time.monotonic() - begun) * 1000
