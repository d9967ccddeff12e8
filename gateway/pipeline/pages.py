"""The stages of one page: preparation, layout, crops, recognition, assembly."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import anyio

from gateway import metrics, tally, traces
from gateway.document import Failure, Options, Page, PageResult, Pixels, Reading, Recognition, Region, Task
from gateway.errors import LayoutFailed
from gateway.layout.owner import Layout
from gateway.layout.preparation import Preparer, Step
from gateway.pipeline.readings import cause_of, read_watched, tell_failure
from gateway.pipeline.results import Found, assembled, before_reading, count
from gateway.regions import Rules, crop, encode_jpeg, fitted, is_blank, plan, plan_whole_page
from gateway.tally import Read
from gateway.threads import in_thread
from gateway.turns import Party, Turns
from gateway.vlm.client import Recognizer
from gateway.vlm.prompts import pixel_budget

BLANK = Recognition("", notes=("blank",))
"""What is known of a region of one colour without asking anybody."""


class PageReader:
    """Reads decoded pages, any number at once; wherever they wait, turns go by document."""

    def __init__(self, layout: Layout, recognizer: Recognizer, preparer: Preparer) -> None:
        self._layout = layout
        self._recognizer = recognizer
        self._preparer = preparer
        self.queue = Turns(2, "layout")
        """Pages that wait for the layout model."""

    async def read(self, page: Page, options: Options, timings: dict[str, float], party: Party) -> PageResult:
        """The page, read; `timings` has those of the stages before and gets those of this one's. Raises `BackendError`.

        A page whose layout cannot be found is one block that says so.
        """
        given, preparation = page, None
        with timed(timings, "layout") as layout:
            try:
                if steps := steps_of(options):
                    with timed(timings, "preparation"):
                        page, preparation = await self._preparer.prepare(page, steps)
                found = await self._find(page, options, party)
            except LayoutFailed as error:
                whole = plan_whole_page(page.width, page.height, Task.OCR)
                failed = Failure(error.code, error.detail)
                layout.fail(failed.code, failed.detail)
                tell_failure(page, 0, whole[0], failed, Read(cause=cause_of(error)))
                found = Found(whole, known={0: failed})
        outcomes, reads = dict(found.known), dict[int, Read]()
        with timed(timings, "recognition"):
            async with anyio.create_task_group() as tasks:
                for index, item in enumerate(found.planned):
                    if item.reading is not None and index not in outcomes:
                        reads[index] = Read()
                        read = partial(self._read_region, page, item.reading, options, party)
                        tasks.start_soon(read_watched, page, index, item, read, reads[index], outcomes)
        finish = partial(assembled, page, found, outcomes, options, timings)
        with timed(timings, "assembly"):
            # pictures of whole pages take long to draw, and crops would wait behind them
            result = await (anyio.to_thread.run_sync(finish) if options.views.names else in_thread(finish))
        if preparation is not None:
            result = replace(result, preparation=preparation)
        if options.views.names:
            before = await anyio.to_thread.run_sync(before_reading, given, page, preparation, options)
            result = replace(result, views={**before, **result.views})
        count(result)
        tally.request().page(result.usage, timings, reads.values())
        return result

    async def _find(self, page: Page, options: Options, party: Party) -> Found:
        """The blocks of a page. Raises `LayoutFailed`."""
        if not options.layout:
            whole = plan_whole_page(page.width, page.height, options.task)
            return await in_thread(_without_blanks, page.pixels, Found(whole))
        self.queue.total = 2 * self._layout.max_batch
        async with self.queue.place(party):
            regions = await self._layout.detect(page.pixels, options.detection)
        return await in_thread(_planned, page.pixels, regions, options)

    async def _read_region(self, page: Page, reading: Reading, options: Options, party: Party) -> Recognition:
        most = pixel_budget(reading.task, options.sampling)[1]
        return await self._recognizer.read(
            partial(_jpeg, page.pixels, reading, most),
            reading.task,
            language=options.language,
            sampling=options.sampling,
            party=party,
        )


def steps_of(options: Options) -> frozenset[Step]:
    """What a caller wants done to pages before they are read."""
    wanted: dict[Step, bool] = {"orientation": options.orientation, "unwarping": options.unwarping}
    return frozenset(step for step, wants in wanted.items() if wants)


@contextmanager
def timed(timings: dict[str, float], stage: metrics.Stage) -> Iterator[traces.Span]:
    """Puts down the milliseconds of the block, which is a span of its own."""
    begun = time.monotonic()
    try:
        with traces.span(stage) as span:
            yield span
    finally:
        seconds = time.monotonic() - begun
        timings[stage] = seconds * 1000
        metrics.STAGES[stage].observe(seconds)


def _planned(pixels: Pixels, regions: tuple[Region, ...], options: Options) -> Found:
    rules = Rules(options.charts, options.seals, options.pictures, options.merge)
    return _without_blanks(pixels, Found(plan(regions, rules), regions))


def _without_blanks(pixels: Pixels, found: Found) -> Found:
    blanks = {
        index: BLANK
        for index, item in enumerate(found.planned)
        if item.reading is not None and is_blank(pixels, item.reading)
    }
    return replace(found, known=blanks)


def _jpeg(pixels: Pixels, reading: Reading, most: int) -> bytes:
    return encode_jpeg(fitted(crop(pixels, reading), most))
