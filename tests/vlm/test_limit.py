from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from vlm_harness import watching
from vlm_standin import Standin

from gateway.document import Task
from gateway.vlm.client import Recognizer
from gateway.vlm.limit import FIRST, LEAST, MOST, Limit, Load
from gateway.vlm.monitor import Monitor


def look(limit: Limit, sequences: int, wanted: int = 1000, others: int = 0) -> bool:
    """A look at a server that runs so many at once and has as many requests of ours as are wanted and allowed."""
    ours = min(wanted, limit.value)
    running = min(sequences, ours + others)
    return limit.look(Load(ours, running, ours + others - running), used=ours == limit.value)


def settled(sequences: int, limit: Limit, looks: int = 60) -> int:
    for _ in range(looks):
        look(limit, sequences)
    return limit.value


@pytest.mark.parametrize("sequences", [4, 16, 48, 64, 100, 200])
def test_it_finds_what_the_backend_runs_and_a_little_more(sequences: int) -> None:
    """The batch is full, and what waits is no more than a quarter of it."""
    found = settled(sequences, Limit())
    assert sequences <= found <= sequences + max(4, sequences / 4)


def test_it_follows_a_backend_that_changes() -> None:
    """Down and up again within ten looks."""
    limit = Limit()
    settled(64, limit)
    assert 16 <= settled(16, limit, looks=10) <= 24
    assert settled(64, limit, looks=10) >= 64


def test_waves_are_no_reason_to_change() -> None:
    """When all answers end together, a look may see nothing wait, or hardly anything run yet."""
    limit = Limit()
    settled(64, limit)
    seen = []
    for number in range(60):
        if number % 3:
            look(limit, 64)
        else:
            limit.look(Load(limit.value, running=30, waiting=0), used=True)
        seen.append(limit.value)
    assert min(seen) >= 60 and max(seen) <= 96


def test_a_limit_that_is_not_used_up_stays() -> None:
    """Nothing is learnt from a backend that is asked for less."""
    limit = Limit()
    assert not any(look(limit, 64, wanted=10) for _ in range(10))
    assert limit.value == FIRST


def test_it_grows_fast_until_something_waits_for_the_first_time() -> None:
    """A large backend is not kept short for minutes."""
    assert settled(200, Limit(first=8), looks=4) == 128


def test_it_stays_within_its_bounds() -> None:
    """However large the backend is, or however busy with others."""
    assert settled(5000, Limit()) == MOST
    limit = Limit()
    for _ in range(60):
        look(limit, 64, others=2000)
    assert limit.value == LEAST


def test_what_a_server_has_before_its_engine_counts_as_waiting() -> None:
    """Its front end may be slower than its engine, and then more at once would only wait longer."""
    limit = Limit()
    for _ in range(40):
        limit.look(Load(limit.value, running=12, waiting=0), used=True)
    assert limit.value <= 32


def test_who_shares_a_backend_takes_back_its_part() -> None:
    """Two gateways that see the same queue do not both shrink by all of it."""
    first, second = Limit(first=200), Limit(first=200)
    for _ in range(60):
        ours, theirs = first.value, second.value
        running = min(64, ours + theirs)
        for limit in (first, second):
            limit.look(Load(limit.value, running, ours + theirs - running), used=True)
    assert 64 <= first.value + second.value <= 90
    assert abs(first.value - second.value) <= 4


@asynccontextmanager
async def running(monitor: Monitor, interval: float) -> AsyncIterator[Recognizer]:
    """A recogniser that looks at its backends so often."""
    async with Recognizer(monitor, interval=interval) as recognizer, anyio.create_task_group() as tasks:
        tasks.start_soon(recognizer.run)
        yield recognizer
        tasks.cancel_scope.cancel()


async def until_seats(recognizer: Recognizer, enough: Callable[[int], bool]) -> None:
    """Always have 100 crops to read until there are `enough` seats."""
    async with anyio.create_task_group() as tasks:
        made = 0

        async def one() -> None:
            nonlocal made
            while True:
                made += 1
                await recognizer.read(str(made).encode, Task.OCR)

        for _ in range(100):
            tasks.start_soon(one)
        with anyio.fail_after(20):
            while not enough(recognizer.seats):  # noqa: ASYNC110
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()


@pytest.mark.alone
async def test_a_recogniser_follows_what_the_backend_says_of_its_queue(vlm: Standin) -> None:
    """The queue is in `/metrics`, and the seats become fewer."""
    vlm.sequences, vlm.token_s = 8, 0.002
    async with watching(vlm.url) as monitor, running(monitor, 0.05) as recognizer:
        await until_seats(recognizer, lambda seats: 8 <= seats < 14)


async def test_without_metrics_the_first_tokens_tell_how_long_requests_wait(vlm: Standin) -> None:
    """Of the time that requests take, the part before the first token is spent waiting."""
    vlm.sequences, vlm.token_s, vlm.tokens = 8, 0.002, None
    async with watching(vlm.url) as monitor, running(monitor, 0.1) as recognizer:
        await until_seats(recognizer, lambda seats: seats < 32)


async def test_a_backend_that_told_its_figures_once_is_asked_again_and_again(
    vlm: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has not lost them: it was away, and may be another one when it is back."""
    monkeypatch.setattr("gateway.vlm.pace._ASK_AGAIN", 1000.0)
    vlm.sequences, vlm.token_s = 8, 0.002
    async with watching(vlm.url) as monitor, running(monitor, 0.05) as recognizer:
        await until_seats(recognizer, lambda seats: seats < 14)
        vlm.tokens, asked = None, vlm.metrics_asked
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(until_seats, recognizer, lambda _: False)
            await vlm.until(lambda: vlm.metrics_asked > asked + 3)
            tasks.cancel_scope.cancel()


async def test_a_number_that_is_given_stays(vlm: Standin, jpeg: bytes) -> None:
    """The operator knows better."""
    async with watching(vlm.url) as monitor, Recognizer(monitor, in_flight=7) as recognizer:
        await recognizer.run()
        await recognizer.read(lambda: jpeg, Task.OCR)
        assert (monitor.backends[0].limit, recognizer.seats) == (7, 7)
