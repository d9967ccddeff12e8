from __future__ import annotations

import re

import anyio
import pytest
from vlm_harness import watching
from vlm_standin import MODEL, Standin

from gateway.document import Task
from gateway.errors import BackendError, RegionFailed
from gateway.vlm.client import Recognizer
from gateway.vlm.monitor import Monitor

STAMP = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def becomes(monitor: Monitor, status: str) -> None:
    """Look until the first backend's status is that."""
    with anyio.fail_after(20):
        while (await monitor.probe())[0].status != status:
            pass


async def test_a_ready_backend_is_described_in_full(vlm: Standin) -> None:
    """Its address, model, latency and stamps are known after one look."""
    async with watching(vlm.url) as monitor:
        (state,) = monitor.states
    assert (state.url, state.status, state.model, state.detail) == (vlm.url, "ready", MODEL, None)
    assert state.latency_ms is not None
    assert STAMP.fullmatch(state.checked_at or "") and STAMP.fullmatch(state.last_ready_at or "")
    assert monitor.ready and monitor.ever_ready and monitor.away_since is None


async def test_a_backend_that_refuses_before_it_ever_was_ready_is_starting() -> None:
    """A cold backend takes minutes to load its weights and refuses connections meanwhile."""
    vlm = Standin()
    async with watching(vlm.url) as monitor:
        assert monitor.states[0].status == "starting"
        assert (monitor.ready, monitor.ever_ready, monitor.away_since) == (False, False, None)
        with vlm:
            await becomes(monitor, "ready")
    assert monitor.ever_ready


@pytest.mark.parametrize("health", [500, 503])
async def test_a_backend_whose_health_is_bad_is_unhealthy_after_it_was_ready(vlm: Standin, health: int) -> None:
    """It accepts connections, so it is not unreachable."""
    async with watching(vlm.url) as monitor:
        vlm.health = health
        await becomes(monitor, "unhealthy")
        assert str(health) in str(monitor.states[0].detail)
        assert monitor.away_since is not None


async def test_a_backend_that_does_not_answer_is_unhealthy_and_no_look_waits_for_it(vlm: Standin) -> None:
    """A look is bounded."""
    async with watching(vlm.url, limit=0.1) as monitor:
        vlm.health = None
        await becomes(monitor, "unhealthy")


async def test_a_backend_that_went_away_is_unreachable_until_it_is_back(vlm: Standin) -> None:
    """Since when it is away is kept meanwhile and forgotten after."""
    async with watching(vlm.url, interval_away=60.0) as monitor:
        await anyio.to_thread.run_sync(vlm.stop)
        await becomes(monitor, "unreachable")
        away_since = monitor.away_since
        await monitor.probe()
        assert away_since is not None and monitor.away_since == away_since
        assert STAMP.fullmatch(monitor.states[0].last_ready_at or "")
        vlm.start()
        await becomes(monitor, "ready")
    assert monitor.away_since is None


async def test_a_backend_that_serves_another_model_is_not_ready(vlm: Standin) -> None:
    """It would answer 404 to every crop; what it serves is told."""
    vlm.model = "another"
    async with watching(vlm.url) as monitor:
        (state,) = monitor.states
    assert (state.status, state.model) == ("unhealthy", "another")
    assert MODEL in str(state.detail)


async def test_a_backend_without_a_health_page_is_judged_by_its_models(vlm: Standin) -> None:
    """An OpenAI-compatible service elsewhere need not have `/health`."""
    vlm.health = 404
    async with watching(vlm.url) as monitor:
        assert monitor.states[0].status == "ready"


async def test_one_ready_backend_of_two_is_enough(vlm: Standin) -> None:
    """Each has a state of its own."""
    async with watching(Standin().url, vlm.url) as monitor:
        assert [state.status for state in monitor.states] == ["starting", "ready"]
        assert monitor.ready and monitor.away_since is None


async def test_concurrent_probes_share_one_look_and_a_cancelled_one_harms_none(vlm: Standin) -> None:
    """Ten callers cost one request; the one that goes away takes nothing along."""
    async with watching(vlm.url, interval=60.0) as monitor:
        before, seen = vlm.health_asked, []

        async def ask() -> None:
            seen.append((await monitor.probe())[0].status)

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(ask)
            with anyio.CancelScope() as scope:
                tasks.start_soon(ask)
                scope.cancel()
                await monitor.probe()
    assert seen == ["ready"] * 11
    assert vlm.health_asked == before + 1


async def test_a_refused_read_is_known_before_the_next_look(vlm: Standin, jpeg: bytes) -> None:
    """The recogniser tells the monitor, which looks at once."""
    async with watching(vlm.url, interval=60.0) as monitor, Recognizer(monitor, patience=0.0) as recognizer:
        await anyio.to_thread.run_sync(vlm.stop)
        with pytest.raises(BackendError):
            await recognizer.read(lambda: jpeg, Task.OCR)
        assert monitor.states[0].status == "unreachable"
        vlm.start()


async def test_an_answer_makes_a_backend_ready_before_the_next_look(vlm: Standin, jpeg: bytes) -> None:
    """What reads crops is ready, whatever the last look saw."""
    vlm.health = 500
    async with watching(vlm.url, interval_away=60.0) as monitor, Recognizer(monitor) as recognizer:
        assert not monitor.ready
        await recognizer.read(lambda: jpeg, Task.OCR)
        assert monitor.ready and monitor.ever_ready


async def test_an_engine_that_makes_no_tokens_for_our_requests_is_hung_and_loses_them(
    vlm: Standin, jpeg: bytes
) -> None:
    """`/health` is 200 all the while; the reads end with the backend's error and it is ready again when it reads."""
    async with (
        watching(vlm.url, hung_after=0.2, limit=0.2) as monitor,
        Recognizer(monitor, in_flight=4, patience=0.0) as recognizer,
        anyio.create_task_group() as tasks,
    ):
        failed: list[BackendError] = []

        async def read() -> None:
            with pytest.raises(BackendError) as failure:
                await recognizer.read(lambda: jpeg, Task.OCR)
            failed.append(failure.value)

        vlm.fail(hang=True)
        for _ in range(6):
            tasks.start_soon(read)
        await becomes(monitor, "hung")
        await vlm.until(lambda: len(failed) == 6 or not vlm.in_flight)
        vlm.heal()
        await becomes(monitor, "ready")
    assert [failure.code for failure in failed] == ["backend_unavailable"] * 6


async def test_a_busy_engine_is_not_a_hung_one(vlm: Standin, jpeg: bytes) -> None:
    """No answer for long, but its tokens move."""
    async with (
        watching(vlm.url, hung_after=0.1) as monitor,
        Recognizer(monitor) as recognizer,
        anyio.create_task_group() as tasks,
    ):
        vlm.fail(hang=True)
        tasks.start_soon(recognizer.read, lambda: jpeg, Task.OCR)
        await vlm.until(lambda: vlm.in_flight == 1)
        until = anyio.current_time() + 0.5
        while anyio.current_time() < until:
            vlm.tokens = (vlm.tokens or 0.0) + 1
            assert (await monitor.probe())[0].status == "ready"
        vlm.heal()


async def test_a_backend_without_a_token_counter_is_never_called_hung(vlm: Standin, jpeg: bytes) -> None:
    """Without a heartbeat nobody can tell slow from dead."""
    vlm.tokens = None
    async with (
        watching(vlm.url, hung_after=0.1) as monitor,
        Recognizer(monitor) as recognizer,
        anyio.create_task_group() as tasks,
    ):
        vlm.fail(hang=True)
        tasks.start_soon(recognizer.read, lambda: jpeg, Task.OCR)
        await vlm.until(lambda: vlm.in_flight == 1)
        until = anyio.current_time() + 0.3
        while anyio.current_time() < until:
            assert (await monitor.probe())[0].status == "ready"
        vlm.heal()


async def test_requests_at_a_server_that_only_closes_its_door_are_given_up(vlm: Standin, jpeg: bytes) -> None:
    """vLLM 0.10.2 on SIGTERM refuses new connections and neither answers nor closes the old ones."""
    async with (
        watching(vlm.url, interval=0.05, interval_away=0.05, gone_after=0.1) as monitor,
        Recognizer(monitor, patience=0.0) as recognizer,
        anyio.create_task_group() as tasks,
    ):

        async def read() -> None:
            with pytest.raises(BackendError):
                await recognizer.read(lambda: jpeg, Task.OCR)

        vlm.fail(hang=True)
        tasks.start_soon(read)
        await vlm.until(lambda: vlm.in_flight == 1)
        vlm.close_door()
        await vlm.until(lambda: vlm.in_flight == 0)


async def test_a_backend_that_fails_on_everything_gets_no_more_until_it_reads_again(vlm: Standin, jpeg: bytes) -> None:
    """Its `/health` is 200 all the while; the reads wait, and are done when it reads the small picture."""
    async with (
        watching(vlm.url, interval=60.0, interval_away=0.05) as monitor,
        Recognizer(monitor) as recognizer,
        anyio.create_task_group() as tasks,
    ):
        vlm.fail(status=500)
        for _ in range(40):
            tasks.start_soon(recognizer.read, lambda: jpeg, Task.OCR)
        await vlm.until(lambda: len(vlm.requests) > 40)
        await becomes(monitor, "unhealthy")
        assert monitor.states[0].detail == "it fails on every request"
        crops = [asked for asked in vlm.requests if asked.picture == jpeg]
        await vlm.until(lambda: len(vlm.requests) > len(crops) + 10)
        assert sum(asked.picture == jpeg for asked in vlm.requests) <= len(crops) + 2 * 40
        vlm.heal()
        await becomes(monitor, "ready")
    assert sum(asked.outcome == 200 and asked.picture == jpeg for asked in vlm.requests) == 40


async def test_crops_that_fail_do_not_make_a_backend_sick_that_reads_others(vlm: Standin, jpeg: bytes) -> None:
    """A document of crops that no engine reads fails by itself."""
    vlm.fail(status=500, prompt="Table")
    async with watching(vlm.url, interval_away=0.05) as monitor, Recognizer(monitor) as recognizer:

        async def fails() -> None:
            with pytest.raises(RegionFailed):
                await recognizer.read(lambda: jpeg, Task.TABLE)

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(fails)
        await becomes(monitor, "ready")
        assert (await recognizer.read(lambda: jpeg, Task.OCR)).text


async def test_an_engine_that_stays_hung_is_restarted_once(vlm: Standin, jpeg: bytes) -> None:
    """Whoever restarts it is told its address, and told again only after it was ready in between."""
    asked: list[str] = []

    async def restart(url: str) -> bool:
        asked.append(url)
        return True

    async with (
        watching(vlm.url, hung_after=0.2, limit=0.2, restart=restart, restart_after=0.3) as monitor,
        Recognizer(monitor, patience=0.0) as recognizer,
    ):

        async def read() -> None:
            with pytest.raises(BackendError):
                await recognizer.read(lambda: jpeg, Task.OCR)

        for times in (1, 2):
            vlm.fail(hang=True)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                await becomes(monitor, "hung")
            with anyio.fail_after(20):
                while len(asked) < times:
                    await monitor.probe()
            for _ in range(3):
                await monitor.probe()
            assert len(asked) == times
            vlm.heal()
            await becomes(monitor, "ready")
    assert asked == [vlm.url] * 2
