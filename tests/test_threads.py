from __future__ import annotations

import threading
from contextvars import ContextVar

import anyio
import pytest

from gateway.threads import in_thread

WHO: ContextVar[str] = ContextVar("who")


async def test_a_call_runs_off_the_loop_and_in_its_callers_context() -> None:
    """What it returns comes back, and what the caller's context holds goes along."""
    WHO.set("the caller")
    name, who = await in_thread(lambda: (threading.current_thread().name, WHO.get()))
    assert (name != threading.current_thread().name, who) == (True, "the caller")


async def test_what_a_call_raises_comes_out() -> None:
    """As it is."""
    with pytest.raises(ZeroDivisionError):
        await in_thread(divmod, 1, 0)


async def test_many_calls_share_few_threads() -> None:
    """More calls than threads wait for each other and all come to their end."""
    done: list[int] = []
    async with anyio.create_task_group() as tasks:
        for number in range(200):
            tasks.start_soon(in_thread, done.append, number)
    assert sorted(done) == list(range(200))


@pytest.mark.parametrize("failing", [False, True])
async def test_a_cancelled_call_is_over_when_its_caller_goes_on(failing: bool) -> None:
    """No call outlives its request, whatever it comes to."""
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait(10)
        ended.set()
        if failing:
            raise ValueError

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(in_thread, work)
        await anyio.to_thread.run_sync(begun.wait)
        tasks.cancel_scope.cancel()
        threading.Timer(0.05, go.set).start()
    assert ended.is_set()
