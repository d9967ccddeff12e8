"""The pages of documents: side by side through their stages, out in order.

A document's pages flow side by side, each through its stages as soon as there is room, and come out in page order.
What is bounded: pages with pixels in memory (for all documents together), and pages of one document begun and not
yet taken by the caller, so that a slow caller holds back its own document only. Wherever pages wait, turns go by
document.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from gateway import metrics, tally, traces
from gateway.document import Kind, Options, PageResult
from gateway.errors import InvalidRequest, one_error
from gateway.intake.pages import Decoder, Document
from gateway.layout.owner import Layout
from gateway.layout.preparation import Preparer, Step
from gateway.pipeline.pages import PageReader, steps_of, timed
from gateway.turns import Party, Turns
from gateway.vlm.client import Recognizer

WHOLE_PAGE = "whole-page"

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
        self._preparer = preparer or Preparer()
        self._room = Turns(pages_in_memory, "page")
        self._reader = PageReader(layout, recognizer, self._preparer)
        self._pages_ahead = pages_ahead
        self.queues: Mapping[metrics.Queue, Turns] = {
            "page": self._room,
            "decoder": decoder.queue,
            "layout": self._reader.queue,
            "seat": recognizer.queue,
        }
        """Wherever pages and regions wait."""

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
        if missing := sorted(steps_of(options) - self._preparer.steps):
            raise InvalidRequest(f"{missing[0]}: this service has no model for it (`DOC_PREPARATION`)")
        party = Party(_PRIORITIES[options.priority])
        tally.request().taken_in(len(data))
        with one_error():
            async with (
                self._decoder.open(data, options.pages, options.dpi, party) as document,
                anyio.create_task_group() as tasks,
            ):
                metrics.DOCUMENTS.labels(document.kind.value).inc()
                tally.request().kind = document.kind.value
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
        with traces.span("page", page=slot.number) as span:
            async with self._room.place(party) as place:
                timings: dict[str, float] = {}
                with timed(timings, "decode"):
                    page = await document.page(slot.number)
                place.grow(max(1, page.pixels.nbytes // _USUAL_PAGE))
                slot.result = await self._reader.read(page, options, timings, party)
            usage = slot.result.usage
            span.set(
                width=page.width,
                height=page.height,
                wait_page_ms=place.waited * 1000,
                regions=usage.regions,
                failed_regions=usage.failed_regions,
            )
        slot.done.set()


async def _in_order(slots: MemoryObjectReceiveStream[_Slot]) -> AsyncIterator[PageResult]:
    async for slot in slots:
        await slot.done.wait()
        assert slot.result is not None
        yield slot.result
