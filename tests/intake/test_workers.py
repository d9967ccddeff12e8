"""Functions that hang, crash and eat memory, in real processes: only the call that made them pays."""

from __future__ import annotations

import json
import math
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import documents
import pytest
from child_processes import children

from gateway.errors import BadDocument
from gateway.intake.pages import Decoder
from gateway.intake.workers import Workers
from gateway.turns import Party


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    workers = Workers(1, 300 << 20)
    yield workers
    await workers.aclose()


async def test_values_come_from_another_process(workers: Workers) -> None:
    """A call's value comes back from another process, and the next call finds that process again."""
    pid = await workers.run(os.getpid, seconds=10)
    assert pid != os.getpid()
    assert await workers.run(math.gcd, 12, 18, seconds=10) == 6
    assert await workers.run(os.getpid, seconds=10) == pid


@pytest.mark.parametrize(
    ("function", "arguments", "told"),
    [
        (os.abort, (), "ended the process"),
        (os._exit, (0,), "ended the process"),
        (signal.raise_signal, (signal.SIGSEGV,), "ended the process"),
        (time.sleep, (3600,), "took too long"),
    ],
    ids=["abort", "exit", "segmentation fault", "hang"],
)
async def test_a_crash_or_a_hang_costs_one_call(
    workers: Workers, function: Callable[..., object], arguments: tuple[object, ...], told: str
) -> None:
    """A call that ends its process, or does not end, is a corrupt document; the next call has a fresh process."""
    first = await workers.run(os.getpid, seconds=10)
    with pytest.raises(BadDocument, match=told) as raised:
        await workers.run(function, *arguments, seconds=0.5)
    assert raised.value.code == "corrupt_document"
    assert first not in children()
    assert await workers.run(os.getpid, seconds=10) != first


async def test_memory_is_bounded(workers: Workers) -> None:
    """A call that wants more memory than a worker may have is a corrupt document, and the worker lives."""
    with pytest.raises(BadDocument, match="memory"):
        await workers.run(bytearray, 1 << 30, seconds=10)
    assert await workers.run(len, "abc", seconds=10) == 3


async def test_a_page_that_takes_too_much_memory_costs_this_document_only() -> None:
    """A real picture that does not fit into a worker is refused, and the next document is read."""
    async with Decoder(workers=1, memory_bytes=300 << 20) as decoder:
        with pytest.raises(BadDocument, match="memory"):
            async with decoder.open(documents.png(size=(9600, 9600))) as document:
                await document.page(1)
        async with decoder.open(documents.png()) as document:
            assert (await document.page(1)).width == 400


async def test_defects_are_not_taken_for_bad_documents(workers: Workers) -> None:
    """What a function raises that is not of the house arrives as a defect, with the trace from over there."""
    with pytest.raises(RuntimeError, match="math domain error"):
        await workers.run(math.sqrt, -1.0, seconds=10)


async def test_cancelling_kills_the_process(workers: Workers) -> None:
    """Nobody waits for the value of a cancelled call, and nothing computes it."""
    pid = await workers.run(os.getpid, seconds=10)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: workers.run(time.sleep, 3600, seconds=7200))
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert pid not in children()


@pytest.mark.parametrize("steps", range(6))
async def test_cancelling_while_a_process_starts_leaves_none(workers: Workers, steps: int) -> None:
    """Wherever in its start a call is cancelled, no process is left that nobody knows."""
    before = children()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: workers.run(time.sleep, 3600, seconds=7200))
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    await workers.aclose()
    assert children() == before


async def test_no_more_processes_than_allowed() -> None:
    """Calls beyond the number of processes wait their turn."""
    workers = Workers(2, 300 << 20)
    pids: list[int] = []

    async def call() -> None:
        pids.append(await workers.run(os.getpid, seconds=10))

    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(call)
    await workers.aclose()
    assert len(pids) == 6
    assert len(set(pids)) == 2


async def test_a_document_goes_back_to_its_worker() -> None:
    """The next page of a document goes to the process that has it open, if that is free."""
    workers = Workers(2, 300 << 20)
    pids: dict[str, int] = {}

    async def call(document: str) -> None:
        pids[document] = await workers.run(os.getpid, seconds=10, document=document)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call, "a")
        tasks.start_soon(call, "b")
    assert pids["a"] != pids["b"]
    for document in "abba":
        assert await workers.run(os.getpid, seconds=10, document=document) == pids[document]
    await workers.aclose()


async def test_a_worker_that_died_between_calls_is_replaced(workers: Workers) -> None:
    """A process that the system killed while it was idle is not the next document's fault."""
    pid = await workers.run(os.getpid, seconds=10)
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222  # and the event loop has not heard of it
    assert await workers.run(os.getpid, seconds=10) != pid


async def test_workers_leave_signals_to_the_gateway(workers: Workers) -> None:
    """A Ctrl-C or a SIGTERM to the whole group ends no page that the draining gateway still wants."""
    pid = await workers.run(os.getpid, seconds=10)
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    assert await workers.run(os.getpid, seconds=10) == pid


async def test_what_libraries_print_goes_nowhere(workers: Workers) -> None:
    """A megabyte of chatter neither blocks a call nor gets into an answer."""
    for stream in (1, 2):
        assert await workers.run(os.write, stream, bytes(1 << 20), seconds=10) == 1 << 20
    assert await workers.run(len, "abc", seconds=10) == 3


async def test_processes_are_renewed(workers: Workers) -> None:
    """After a thousand calls a fresh process takes over, so that no leak grows for ever."""
    first = await workers.run(os.getpid, seconds=10)
    for _ in range(999):
        await workers.run(len, "abc", seconds=10)
    assert await workers.run(os.getpid, seconds=10) != first


def worker_process() -> subprocess.Popen[bytes]:
    start = (
        "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from gateway.intake.worker import main; main(1 << 30)"
    )
    return subprocess.Popen([sys.executable, "-c", start, json.dumps(sys.path)], stdin=-1, stdout=-1)


def test_a_worker_ends_with_its_gateway() -> None:
    """When the gateway dies its pipes close, and an idle worker ends."""
    with worker_process() as process:
        assert process.stdin
        process.stdin.close()
        assert process.wait(10) == 0


def test_a_hanging_worker_without_a_gateway_ends_itself() -> None:
    """A call that outlives its time ends the process even if nobody is there to kill it."""
    with worker_process() as process:
        assert process.stdin
        process.stdin.write(pickle.dumps((0.1, time.sleep, (3600,))))
        process.stdin.flush()
        assert process.wait(10) == -signal.SIGALRM


def test_a_worker_starts_with_little() -> None:
    """What decoding needs does not drag in numpy, the web framework, settings or the object store's client."""
    heavy = "{'numpy', 'pydantic', 'fastapi', 'starlette', 'httpx', 'boto3', 'botocore'}"
    script = "import sys, gateway.intake.worker, gateway.intake.decode, gateway.intake.pdf, gateway.intake.tiff"
    check = f"{script}; sys.exit(','.join({heavy} & set(sys.modules)) or None)"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=Path(__file__).parents[2])


async def test_turns_go_by_party(workers: Workers) -> None:
    """A newcomer's call is the next, though another party has many waiting."""
    many, newcomer = Party(), Party()
    done: list[str] = []

    async def call(name: str, party: Party) -> None:
        await workers.run(time.sleep, 0.2, seconds=10, party=party)
        done.append(name)

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(call, "many", many)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(call, "newcomer", newcomer)
    assert done.index("newcomer") <= 1


async def test_the_event_loop_comes_first(workers: Workers) -> None:
    """Decoding gives way to this process where cores are short."""
    assert await workers.run(os.nice, 0, seconds=10) > os.nice(0)
