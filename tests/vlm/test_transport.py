from __future__ import annotations

import random
from collections.abc import AsyncIterator

import aiohttp
import anyio
import pytest
from vlm_harness import reading
from vlm_standin import Standin

from gateway.document import Task
from gateway.vlm import wire
from gateway.vlm.setbacks import Broke, Refused
from gateway.vlm.transport import open_session, translated

POOL = 8


async def post(http: aiohttp.ClientSession, vlm: Standin, jpeg: bytes) -> int:
    body = wire.request(vlm.model, Task.OCR, wire.encoded(jpeg), pixels=True, stream=False)
    async with http.post(f"{vlm.url}/chat/completions", data=body) as response:
        await response.read()
        return response.status


async def all_connections_at_once(vlm: Standin, http: aiohttp.ClientSession, jpeg: bytes) -> None:
    vlm.fail(hang=True)
    async with anyio.create_task_group() as tasks:
        for _ in range(POOL):
            tasks.start_soon(post, http, vlm, jpeg)
        await vlm.until(lambda: vlm.in_flight == POOL)
        vlm.heal()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session(POOL) as client:
        yield client


async def test_a_storm_of_cancellations_leaves_every_connection_usable(
    vlm: Standin, http: aiohttp.ClientSession, jpeg: bytes
) -> None:
    """After hundreds of requests cancelled at random moments, the pool still does all it can at once."""
    rng, cancelled = random.Random(7), 0

    async def short_lived() -> None:
        nonlocal cancelled
        for _ in range(25):
            with anyio.move_on_after(rng.random() * 0.02) as scope:
                await post(http, vlm, jpeg)
            cancelled += scope.cancelled_caught

    async with anyio.create_task_group() as storm:
        for _ in range(4 * POOL):
            storm.start_soon(short_lived)
    await vlm.until(lambda: vlm.in_flight == 0)
    await all_connections_at_once(vlm, http, jpeg)
    assert cancelled > 200


async def test_a_storm_of_cancelled_reads_leaves_every_seat_usable(vlm: Standin, jpeg: bytes) -> None:
    """Cancelled in a queue, in a thread, on the wire: a read gives back what it took."""
    rng = random.Random(7)
    async with reading(vlm.url, in_flight=POOL) as recognizer:

        async def short_lived() -> None:
            for _ in range(25):
                with anyio.move_on_after(rng.random() * 0.02):
                    await recognizer.read(lambda: jpeg, Task.OCR)

        async with anyio.create_task_group() as storm:
            for _ in range(4 * POOL):
                storm.start_soon(short_lived)
        await vlm.until(lambda: vlm.in_flight == 0)
        vlm.fail(hang=True)
        async with anyio.create_task_group() as tasks:
            for _ in range(POOL):
                tasks.start_soon(recognizer.read, lambda: jpeg, Task.OCR)
            await vlm.until(lambda: vlm.in_flight == POOL)
            vlm.heal()


async def test_a_refused_connection_is_told_from_a_lost_one(
    vlm: Standin, http: aiohttp.ClientSession, jpeg: bytes
) -> None:
    """The first says that nobody is there, the second may be about the crop."""
    with pytest.raises(Refused), translated():
        await post(http, Standin(), jpeg)
    vlm.fail(drop=True)
    with pytest.raises(Broke) as lost, translated():
        await post(http, vlm, jpeg)
    assert not isinstance(lost.value, Refused)
