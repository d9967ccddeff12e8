"""The door: requests, bytes and memory bounded, and an honest word on when to come back."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.to_thread
import documents
import pytest
from running import gateway
from vlm_standin import Standin

from gateway.api.admission import Admission, Turnover
from gateway.errors import Overloaded
from gateway.hold import take
from gateway.memory import Memory

MIB = 1 << 20
PNG = documents.png("Hello")


async def test_bytes_of_all_requests_are_bounded_together() -> None:
    """What one request takes another cannot, until the first is gone; a request alone may have more than the limit."""
    admission = Admission(10, 60, max_bytes=100)
    release = anyio.Event()

    async def hold(size: int) -> None:
        async with admission.enter():
            take(size)
            await release.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hold, 90)
        await anyio.wait_all_tasks_blocked()
        async with admission.enter():
            take(10)
            with pytest.raises(Overloaded) as raised:
                await anyio.to_thread.run_sync(take, 1)
        assert raised.value.retry_after > 0
        release.set()
    assert admission.bytes_held == 0
    async with admission.enter():
        take(80)
        take(80)
        assert admission.bytes_held == 160
    assert admission.bytes_held == 0


async def test_outside_of_any_request_nothing_is_counted() -> None:
    """The command line reads documents of any size."""
    take(1 << 60)


async def test_nobody_comes_in_while_memory_is_short(tmp_path: Path) -> None:
    """The door is closed while the system has less than the reserve."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemAvailable: 1 kB\n")
    admission = Admission(10, 60, memory=Memory(2048, tmp_path))
    assert admission.full
    with pytest.raises(Overloaded, match="memory"):
        async with admission.enter():
            pass


async def test_callers_are_told_to_come_back_one_after_another() -> None:
    """At two that leave a second, the next is told half a second, and each after it half a second more; a minute at
    most, and half of it while nothing is known."""
    unknown = Turnover()
    assert unknown.retry_after() == 30
    known = Turnover()
    for _ in range(2):
        known.count()
    first, second = known.retry_after(), known.retry_after()
    assert first == pytest.approx(0.5, abs=0.1)
    assert second - first == pytest.approx(0.5, abs=0.1)
    assert max(known.retry_after() for _ in range(1000)) <= 60


async def test_a_body_there_is_no_room_for_is_429_while_others_are_read() -> None:
    """Announced or not, in any transport, also out of a URL; a caller that leaves gives its bytes back."""

    async def half(size: int = 700_000):  # type: ignore[no-untyped-def]
        yield bytes(size)
        await anyio.sleep_forever()

    async with Standin() as vlm, gateway(vlm.url, max_queued_mb=1, fetch_allow_hosts="127.0.0.1") as running:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: running.http.post("/ocr", content=half()))
            with anyio.fail_after(20):
                while running.admission.bytes_held < 700_000:  # noqa: ASYNC110
                    await anyio.sleep(0.01)
            big = PNG + bytes(700_000)
            for answer in (await running.ocr(big), await running.http.post("/ocr", files={"file": ("a", big)})):
                assert (answer.status_code, answer.json()["code"]) == (429, "overloaded")
                assert int(answer.headers["retry-after"]) > 0
            assert (await running.ocr(PNG)).status_code == 200
            tasks.cancel_scope.cancel()
        with anyio.fail_after(20):
            while running.admission.bytes_held:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        assert (await running.ocr(PNG + bytes(700_000))).status_code == 200


async def test_a_document_counts_twice_while_it_is_read() -> None:
    """As its body and as the copy that the decoders read; what has no room for the copy is 429; all is given back."""
    document = PNG + bytes(700_000)
    async with Standin() as vlm, gateway(vlm.url, max_queued_mb=2) as running:
        vlm.fail(hang=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.ocr, document)
            await vlm.until(lambda: vlm.in_flight == 1)
            assert running.admission.bytes_held == 2 * len(document)
            answer = await running.ocr(document)
            assert (answer.status_code, answer.json()["code"]) == (429, "overloaded")
            assert running.admission.bytes_held == 2 * len(document)
            vlm.heal()
        assert running.admission.bytes_held == 0
