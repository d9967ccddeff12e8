from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from pathlib import Path

import anyio
import numpy as np
import pytest
import structlog
from anyio import from_thread, wait_all_tasks_blocked
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint
from layout_models import build

from gateway.document import Pixels, Region
from gateway.errors import GatewayError, LayoutFailed, LayoutUnavailable, ShuttingDown
from gateway.layout.owner import Layout
from gateway.layout.paddlex import PaddleXLayout

BAD = 255


def page(mark: int) -> Pixels:
    return np.full((8, 8, 3), mark, np.uint8)


def found(mark: int) -> tuple[Region, ...]:
    return (Region(str(mark), (0, 0, 8, 8), 1.0),)


class Marks:
    """Answers a page with its mark as the label, fails on `BAD`, and notes what it was given, and where."""

    name = "marks"
    max_batch = 4

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads = {threading.get_ident()}

    def detect(self, pages: Sequence[Pixels]) -> list[tuple[Region, ...]]:
        marks = [int(pixels[0, 0, 0]) for pixels in pages]
        self.batches.append(marks)
        self.threads.add(threading.get_ident())
        if BAD in marks:
            raise ValueError("cannot read this")
        return [found(mark) for mark in marks]


class Held(Marks):
    """The same, but every call waits until it is let go; `begun` is set once the first one is in the model."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = anyio.Event()
        self.turnstile = threading.Semaphore(0)

    def detect(self, pages: Sequence[Pixels]) -> list[tuple[Region, ...]]:
        from_thread.run_sync(self.begun.set)
        self.turnstile.acquire()
        return super().detect(pages)

    def let_go(self) -> None:
        self.turnstile.release(1000)


class Asking:
    """Tasks that each ask for one page; `got` holds their answers or errors by the page's mark."""

    def __init__(self, layout: Layout, tasks: TaskGroup) -> None:
        self.layout = layout
        self.tasks = tasks
        self.got: dict[int, tuple[Region, ...] | GatewayError] = {}

    async def start(self, *marks: int) -> list[anyio.CancelScope]:
        """Ask for the pages, in this order, and come back when all of them stand in line."""
        scopes = []
        for mark in marks:
            scopes.append(anyio.CancelScope())
            self.tasks.start_soon(self._ask, mark, scopes[-1])
            await checkpoint()
        return scopes

    async def _ask(self, mark: int, scope: anyio.CancelScope) -> None:
        with scope:
            try:
                self.got[mark] = await self.layout.detect(page(mark))
            except GatewayError as exc:
                self.got[mark] = exc


async def test_loads_in_the_background_and_then_answers() -> None:
    """The service starts before its model is there; pages that come early wait for it."""
    go = threading.Event()
    detector = Marks()

    def load() -> Marks:
        go.wait()
        return detector

    async with Layout(load) as layout, anyio.create_task_group() as tasks:
        asking = Asking(layout, tasks)
        await asking.start(1)
        assert not layout.ready
        with pytest.raises(LayoutUnavailable):
            _ = layout.name
        go.set()
        await layout.wait_ready()
        assert (layout.ready, layout.name, layout.failure) == (True, "marks", None)
    assert asking.got == {1: found(1)}
    assert not layout.ready


async def test_takes_what_waits_together_in_its_order() -> None:
    """Pages that came while the model was busy go in as one batch, never more than the detector likes."""
    detector = Held()
    async with Layout(lambda: detector) as layout, anyio.create_task_group() as tasks:
        asking = Asking(layout, tasks)
        await asking.start(1)
        await detector.begun.wait()
        await asking.start(2, 3, 4, 5, 6, 7)
        detector.let_go()
    assert detector.batches == [[1], [2, 3, 4, 5], [6, 7]]
    assert asking.got == {mark: found(mark) for mark in range(1, 8)}


async def test_one_thread_loads_and_uses_the_model() -> None:
    """PaddleX's predictors are not thread-safe, and a CUDA context belongs to a thread."""
    detectors: list[Marks] = []

    def load() -> Marks:
        detectors.append(Marks())
        return detectors[-1]

    async with Layout(load) as layout:
        for mark in range(20):
            assert await layout.detect(page(mark)) == found(mark)
            await anyio.to_thread.run_sync(lambda: None)  # keeps other threads about that could be taken instead
    assert len(detectors) == 1
    assert len(detectors[0].threads - {threading.get_ident()}) == 1


async def test_a_cancelled_page_that_waits_is_never_computed() -> None:
    """A caller who left costs the model nothing."""
    detector = Held()
    async with Layout(lambda: detector) as layout, anyio.create_task_group() as tasks:
        asking = Asking(layout, tasks)
        await asking.start(1)
        await detector.begun.wait()
        _, gone, _ = await asking.start(2, 3, 4)
        gone.cancel()
        await wait_all_tasks_blocked()
        detector.let_go()
    assert detector.batches == [[1], [2, 4]]
    assert asking.got == {mark: found(mark) for mark in (1, 2, 4)}


async def test_a_page_cancelled_in_the_model_takes_nobody_with_it() -> None:
    """Its batch-mates get their own answers; its answer is dropped."""
    detector = Held()
    async with Layout(lambda: detector) as layout, anyio.create_task_group() as tasks:
        asking = Asking(layout, tasks)
        await asking.start(1)
        await detector.begun.wait()
        _, gone, _ = await asking.start(2, 3, 4)
        detector.begun = anyio.Event()
        detector.turnstile.release()
        await detector.begun.wait()
        gone.cancel()
        await wait_all_tasks_blocked()
        detector.let_go()
    assert detector.batches == [[1], [2, 3, 4]]
    assert asking.got == {mark: found(mark) for mark in (1, 2, 4)}


async def test_a_page_the_model_fails_on_fails_alone() -> None:
    """The other pages of its batch are answered, and so are later ones."""
    detector = Held()
    async with Layout(lambda: detector) as layout, anyio.create_task_group() as tasks:
        asking = Asking(layout, tasks)
        await asking.start(1)
        await detector.begun.wait()
        await asking.start(2, BAD, 3)
        detector.let_go()
        assert await layout.detect(page(9)) == found(9)
    assert detector.batches == [[1], [2, BAD, 3, 9], [2], [BAD], [3], [9]]
    failed = asking.got.pop(BAD)
    assert isinstance(failed, LayoutFailed)
    assert isinstance(failed.__cause__, ValueError)
    assert asking.got == {mark: found(mark) for mark in (1, 2, 3)}


class Bound(logging.Handler):
    """Notes under which request each line came."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, object, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        own = structlog.contextvars.get_contextvars().get("request_id")
        self.lines.append((record.getMessage(), own, getattr(record, "request_ids", None)))


async def test_a_failure_is_logged_under_its_request() -> None:
    """The model's thread serves all requests; its line about a page has the id of that page's, one of a batch all."""
    detector, log, bound = Held(), logging.getLogger("gateway.layout.owner"), Bound()
    log.addHandler(bound)
    try:
        async with Layout(lambda: detector) as layout, anyio.create_task_group() as tasks:
            asking = Asking(layout, tasks)
            await asking.start(1)
            await detector.begun.wait()
            for mark in (2, BAD):
                with structlog.contextvars.bound_contextvars(request_id=f"of {mark}"):
                    await asking.start(mark)
            detector.let_go()
    finally:
        log.removeHandler(bound)
    batch, alone = [line for line in bound.lines if "failed" in line[0]]
    assert batch[2] == ["of 2", f"of {BAD}"]
    assert alone[1] == f"of {BAD}"


class Swallowing(Marks):
    """Forgets one page of every batch of several, and all of `BAD`."""

    def detect(self, pages: Sequence[Pixels]) -> list[tuple[Region, ...]]:
        return [found(int(pixels[0, 0, 0])) for pixels in pages[: len(pages) - 1 or 1] if pixels[0, 0, 0] != BAD]


async def test_too_few_answers_are_never_handed_to_the_wrong_pages() -> None:
    """An answer is used only where it is certain whose it is."""
    async with Layout(Swallowing) as layout, anyio.create_task_group() as tasks:
        asking = Asking(layout, tasks)
        await asking.start(1, 2, BAD, 3)
    assert isinstance(asking.got.pop(BAD), LayoutFailed)
    assert asking.got == {mark: found(mark) for mark in (1, 2, 3)}


async def test_a_model_that_cannot_be_loaded_refuses_everyone() -> None:
    """Those who wait are told, those who come later at once; the reason is for operators, not for callers."""
    go = threading.Event()

    def load() -> Marks:
        go.wait()
        raise LayoutUnavailable("/models/secret: no such folder")

    async with Layout(load) as layout, anyio.create_task_group() as tasks:
        asking = Asking(layout, tasks)
        await asking.start(1)
        go.set()
        with pytest.raises(LayoutUnavailable):
            await layout.wait_ready()
        assert not layout.ready
        assert layout.failure == "/models/secret: no such folder"
        with pytest.raises(LayoutUnavailable) as refused:
            await layout.detect(page(2))
    assert isinstance(asking.got[1], LayoutUnavailable)
    assert "secret" not in refused.value.detail


class Dying(Held):
    def detect(self, pages: Sequence[Pixels]) -> list[tuple[Region, ...]]:
        super().detect(pages)
        raise SystemExit("the library gave up")


async def test_a_model_thread_that_dies_is_noticed() -> None:
    """The page in the model and the waiting ones fail, the service is not ready any more and goes on."""
    detector = Dying()
    async with Layout(lambda: detector) as layout:
        async with anyio.create_task_group() as tasks:
            asking = Asking(layout, tasks)
            await asking.start(1)
            await detector.begun.wait()
            assert layout.ready
            await asking.start(2)
            detector.let_go()
        assert not layout.ready
        assert layout.failure is not None
        assert "gave up" in layout.failure
    assert [type(asking.got[mark]) for mark in (1, 2)] == [LayoutUnavailable] * 2


async def test_leaving_finishes_the_page_in_the_model_and_refuses_the_waiting() -> None:
    """Closing takes as long as the running batch, and nobody is left behind."""
    detector = Held()
    async with anyio.create_task_group() as tasks, Layout(lambda: detector) as layout:
        asking = Asking(layout, tasks)
        await asking.start(1)
        await detector.begun.wait()
        await asking.start(2)
        tasks.start_soon(anyio.to_thread.run_sync, detector.let_go)
    assert asking.got[1] == found(1)
    assert isinstance(asking.got[2], ShuttingDown)
    assert detector.batches == [[1]]
    with pytest.raises(ShuttingDown):
        await layout.detect(page(3))


async def test_leaving_does_not_wait_for_a_load() -> None:
    """A model on its way from a slow disk or hub does not hold up the end."""
    go = threading.Event()

    def load() -> Marks:
        go.wait()
        return Marks()

    async with anyio.create_task_group() as tasks, Layout(load) as layout:
        asking = Asking(layout, tasks)
        await asking.start(1)
    go.set()
    assert isinstance(asking.got[1], ShuttingDown)


async def test_being_cancelled_leaves_nobody_waiting() -> None:
    """Callers outside the cancelled part of the program are refused, not forgotten."""
    detector = Held()
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            async with Layout(lambda: detector) as layout:
                asking = Asking(layout, tasks)
                await asking.start(1)
                await detector.begun.wait()
                await asking.start(2)
                scope.cancel()
                await checkpoint()
    detector.let_go()
    assert [type(asking.got[mark]) for mark in (1, 2)] == [ShuttingDown] * 2


async def test_a_storm_of_cancellations_mixes_nothing_up() -> None:
    """Whoever stays gets the answer to the page they sent."""
    chance = random.Random(7)
    async with Layout(Marks) as layout:
        for _ in range(10):
            async with anyio.create_task_group() as tasks:
                asking = Asking(layout, tasks)
                stay = dict(zip(range(200), await asking.start(*range(200)), strict=True))
                for mark in chance.sample(range(200), 120):
                    stay.pop(mark).cancel()
                    if chance.random() < 0.2:
                        await checkpoint()
            assert {mark: asking.got[mark] for mark in stay} == {mark: found(mark) for mark in stay}


async def test_pages_through_a_real_model_side_by_side_are_answered_as_alone(tmp_path: Path) -> None:
    """Sizes and colours mixed in batches of four, loaded and run by PaddleX."""
    detector = PaddleXLayout("PP-DocLayoutV3", str(build("V3", tmp_path)))
    pages = [np.full((90 + 31 * i, 400 - 13 * i, 3), (9 * i, 0, 200), np.uint8) for i in range(24)]
    alone = [detector.detect([one])[0] for one in pages]
    detector.max_batch = 4
    together: dict[int, tuple[Region, ...]] = {}

    async def ask(index: int) -> None:
        together[index] = await layout.detect(pages[index])

    async with Layout(lambda: detector) as layout, anyio.create_task_group() as tasks:
        for index in range(len(pages)):
            tasks.start_soon(ask, index)
    assert [together[index] for index in range(len(pages))] == alone
    assert len(set(alone)) == len(pages)
