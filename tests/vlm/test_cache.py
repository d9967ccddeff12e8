from __future__ import annotations

import random

import anyio
import pytest
from prometheus_client import REGISTRY
from vlm_harness import reading
from vlm_standin import Standin

from gateway.document import Recognition, Sampling, Task
from gateway.errors import BackendError, RegionFailed
from gateway.vlm.cache import Answers

SIZE = 1 << 20


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("gateway_cache_answers_total", {"outcome": outcome}) or 0.0


async def test_an_equal_crop_is_not_asked_for_again(vlm: Standin, jpeg: bytes) -> None:
    """The same answer comes back, with what it cost when it was asked for."""
    hits = counted("hit")
    async with reading(vlm.url, cache=SIZE) as recognizer:
        first = await recognizer.read(lambda: jpeg, Task.OCR)
        assert await recognizer.read(lambda: jpeg, Task.OCR) == first
    assert len(vlm.requests) == 1
    assert counted("hit") == hits + 1


async def test_what_may_change_the_answer_is_asked_for_by_itself(vlm: Standin, jpeg: bytes) -> None:
    """Other bytes, another task, another language, other sampling."""
    async with reading(vlm.url, cache=SIZE) as recognizer:
        await recognizer.read(lambda: jpeg, Task.OCR)
        await recognizer.read(lambda: jpeg + b"\0", Task.OCR)
        await recognizer.read(lambda: jpeg, Task.TABLE)
        await recognizer.read(lambda: jpeg, Task.OCR, language="ru")
        await recognizer.read(lambda: jpeg, Task.OCR, sampling=Sampling(temperature=0.5))
    assert len(vlm.requests) == 5


async def test_equal_crops_in_flight_are_asked_for_once(vlm: Standin, jpeg: bytes) -> None:
    """All get the one answer."""
    vlm.fail(hang=True)
    texts: list[str] = []
    async with reading(vlm.url, cache=SIZE) as recognizer, anyio.create_task_group() as tasks:

        async def read() -> None:
            texts.append((await recognizer.read(lambda: jpeg, Task.OCR)).text)

        for _ in range(10):
            tasks.start_soon(read)
        await vlm.until(lambda: vlm.in_flight == 1)
        vlm.heal()
    assert len(texts) == 10 and len(set(texts)) == 1
    assert len(vlm.requests) == 1


async def test_who_waits_takes_over_when_the_reader_leaves(vlm: Standin, jpeg: bytes) -> None:
    """The request of the one that left is closed; those who wait lose nothing but its time."""
    vlm.fail(hang=True)
    texts: list[str] = []
    async with reading(vlm.url, cache=SIZE) as recognizer, anyio.create_task_group() as tasks:

        async def read(scope: anyio.CancelScope) -> None:
            with scope:
                texts.append((await recognizer.read(lambda: jpeg, Task.OCR)).text)

        leader = anyio.CancelScope()
        tasks.start_soon(read, leader)
        await vlm.until(lambda: vlm.in_flight == 1)
        for _ in range(3):
            tasks.start_soon(read, anyio.CancelScope())
        leader.cancel()
        await vlm.until(lambda: len(vlm.requests) == 2)
        await vlm.until(lambda: vlm.requests[0].outcome == "gone")
        vlm.heal()
    assert len(texts) == 3
    assert len(vlm.requests) == 2


async def test_readers_leaving_at_random_leave_nobody_behind() -> None:
    """Whoever stays gets the answer."""
    rng, answers, got = random.Random(3), Answers(SIZE), 0

    async def read() -> Recognition:
        await anyio.sleep(rng.random() * 0.002)
        return Recognition("text", cut=True)

    async def caller(stays: bool) -> None:
        nonlocal got
        with anyio.move_on_after(5 if stays else rng.random() * 0.003):
            await answers.once(b"key", read)
            got += stays

    async with anyio.create_task_group() as tasks:
        for number in range(400):
            tasks.start_soon(caller, number % 4 == 0)
            await anyio.sleep(rng.random() * 0.0005)
    assert got == 100


@pytest.mark.parametrize(
    ("error", "asked"), [(RegionFailed("no", code="crop_refused"), 1), (BackendError("away", retry_after=7), 4)]
)
async def test_a_failure_is_shared_where_it_is_the_crops_own(error: Exception, asked: int) -> None:
    """One that failed by its backend says nothing about the others, who ask all at once."""
    answers, began, seen = Answers(SIZE), 0, []
    go = anyio.Event()

    async def read() -> Recognition:
        nonlocal began
        began += 1
        await go.wait()
        raise error

    async def caller() -> None:
        with pytest.raises(type(error)) as failed:
            await answers.once(b"key", read)
        seen.append(failed.value)

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(caller)
        await anyio.wait_all_tasks_blocked()
        assert began == 1
        go.set()
    assert began == asked
    assert [(str(failed), failed.code) for failed in seen] == [(str(error), error.code)] * 4  # type: ignore[attr-defined]


@pytest.mark.parametrize("answer", [Recognition("half", cut=True), Recognition("trimmed", runaway=True)])
async def test_only_whole_answers_are_kept(answer: Recognition) -> None:
    """The next one may be better."""
    answers = Answers(SIZE)
    assert await answers.once(b"key", lambda: _made(answer)) == answer
    assert answers.held == 0
    assert (await answers.once(b"key", lambda: _made(Recognition("whole")))).text == "whole"


async def test_failures_are_not_kept() -> None:
    """The next reader asks again."""
    answers = Answers(SIZE)

    async def fails() -> Recognition:
        raise RegionFailed("no")

    with pytest.raises(RegionFailed):
        await answers.once(b"key", fails)
    assert (await answers.once(b"key", lambda: _made(Recognition("whole")))).text == "whole"


async def test_what_is_kept_is_bounded_and_the_longest_unused_goes_first() -> None:
    """Bytes count, not answers; one too large for all of it is not kept."""
    answers = Answers(10_000)
    for number in range(50):
        await answers.once(b"%d" % number, lambda: _made(Recognition("т" * 1000)))
        await answers.once(b"0", lambda: _made(Recognition("т" * 1000)))
        assert answers.held <= 10_000
    assert (await answers.once(b"0", lambda: _made(Recognition("new")))).text != "new"
    assert (await answers.once(b"49", lambda: _made(Recognition("new")))).text != "new"
    assert (await answers.once(b"1", lambda: _made(Recognition("new")))).text == "new"
    held = answers.held
    await answers.once(b"large", lambda: _made(Recognition("x" * 20_000)))
    assert answers.held == held


async def test_without_room_everybody_asks(vlm: Standin, jpeg: bytes) -> None:
    """`CACHE_MB=0` turns all of it off."""
    async with reading(vlm.url, cache=0) as recognizer:
        for _ in range(2):
            await recognizer.read(lambda: jpeg, Task.OCR)
    assert len(vlm.requests) == 2


async def _made(answer: Recognition) -> Recognition:
    return answer
