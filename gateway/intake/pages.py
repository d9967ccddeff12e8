"""A document's pages, decoded one by one as they are asked for, in processes that may be hung or killed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self, TypeVar, TypeVarTuple

from gateway.document import Kind, Page
from gateway.hold import take
from gateway.intake import decode
from gateway.intake.canvases import Canvases
from gateway.intake.shared_file import SharedFile
from gateway.intake.source import HEAD_BYTES, kind_of, select_pages
from gateway.intake.workers import Workers
from gateway.threads import in_thread
from gateway.turns import EVERYBODY, Party, Turns

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Decoder:
    """Opens documents. Use as an async context manager: leaving it ends the worker processes.

    `dpi` is for PDF pages. `workers` bounds the pages decoded at once, whatever the number of documents (as many as
    there are cores to run on, by default), and `page_timeout_s` the time of each. `memory_bytes` is the address space
    of a worker; by default as much as the costliest picture of `max_pixels` takes (a transparent WebP: the decoder's
    two canvases, its answer, Pillow's copy, the flattened picture, four bytes each).
    """

    def __init__(
        self,
        *,
        dpi: int = 200,
        max_pixels: int = 100_000_000,
        max_pages: int = 1000,
        workers: int | None = None,
        page_timeout_s: float = 30,
        memory_bytes: int | None = None,
    ) -> None:
        self._dpi = dpi
        self._max_pixels = max_pixels
        self._max_pages = max_pages
        self._page_timeout_s = page_timeout_s
        self._canvases = Canvases()
        self._workers = Workers(workers or _cores(), memory_bytes or (512 << 20) + 24 * max_pixels)

    @property
    def queue(self) -> Turns:
        """Pages that wait for a worker."""
        return self._workers.queue

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._workers.aclose()
        self._canvases.close()

    @asynccontextmanager
    async def open(
        self, data: bytes, pages: str = "", dpi: int | None = None, party: Party = EVERYBODY
    ) -> AsyncIterator[Document]:
        """Open a document for the body of the `async with`; `pages` (`1-3,7`; "" is all) says which are wanted.

        `dpi` is for PDF pages that are not to have the decoder's; turns at the workers go by `party`. Headers alone
        are read. Raises `EmptyDocument`, `Unsupported`, `BadDocument`, `EncryptedDocument`, `InvalidRequest` for
        `pages`, `TooManyPages`, `TooManyPixels` for a picture, `Overloaded` where there is no room for its copy.
        """
        kind = kind_of(data[:HEAD_BYTES])
        with SharedFile() as file:
            source = _Source(file, kind, dpi or self._dpi, party)
            take(len(data))  # the caller keeps its own bytes
            await in_thread(file.write, data)
            try:
                count = await self._in_worker(source, decode.inspect, file.path, kind.value, self._max_pixels)
                numbers = select_pages(pages, count, self._max_pages)
                yield Document(kind, numbers, partial(self._page, source))
            finally:
                file.empty()

    async def _page(self, source: _Source, number: int) -> Page:
        path, kind = source.file.path, source.kind.value
        out = self._canvases.take()
        try:
            width, height, start = await self._in_worker(
                source, decode.render, path, kind, number, source.dpi, self._max_pixels, out.path
            )
        except BaseException:
            self._canvases.drop(out)
            raise
        return Page(number, self._canvases.show(out, width, height, start))

    async def _in_worker(self, source: _Source, function: Callable[[*Ts], T], *arguments: *Ts) -> T:
        return await self._workers.run(
            function, *arguments, seconds=self._page_timeout_s, document=source.file.path, party=source.party
        )


@dataclass(frozen=True, slots=True)
class _Source:
    """The file that an open document is in, and how its pages are drawn."""

    file: SharedFile
    kind: Kind
    dpi: int
    party: Party


@dataclass(frozen=True, slots=True)
class Document:
    """An open document: its `kind`, the `numbers` of the pages that are wanted, in order, and how to get one.

    `page(number)` decodes one page; any number of calls may run at once, each waits for a free worker. It raises
    `BadDocument`, also when decoding takes too long, too much memory or crashes, and `TooManyPixels`. Cancelling it
    stops the decoding. A page outlives its document.
    """

    kind: Kind
    numbers: tuple[int, ...]
    page: Callable[[int], Awaitable[Page]]


def _cores() -> int:
    """Cores that this process may use; at least two, as one document must not wait for another's slow page."""
    return max(2, min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2, 16))
