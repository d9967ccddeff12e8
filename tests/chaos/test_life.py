"""The supervised service lives through the death of each of its processes, a full disk, and callers that leave."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import mkdtemp

import anyio
import child_processes
import documents
import httpx
import pytest
from chaos.chaos import gateway_pid, service
from living import processes
from running import gateway
from serving import Serving, serving
from vlm_standin import Standin

PNG = documents.png("Hello")
POST = b"POST /ocr HTTP/1.1\r\nHost: a\r\n"


async def until(true: Callable[[], Awaitable[bool]], what: str) -> None:
    with anyio.move_on_after(40):
        while True:
            if await true():
                return
            await anyio.sleep(0.1)
    raise AssertionError(f"waited for {what}")


async def reads(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.post("/ocr", content=PNG)).is_success
    except httpx.TransportError:
        return False


def named(run_dir: Path, words: str) -> list[int]:
    """The processes of a run whose command line has `words`."""
    return [pid for pid in processes(run_dir) if words.encode() in command(pid)]


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        return b""


async def test_sigterm_under_load_answers_everyone() -> None:
    """Whoever is being served is served to the end, whoever comes later is told 503 or finds nobody; the exit is 0."""
    async with (
        Standin() as vlm,
        service(vlm, DRAIN_S="20", VLM_MAX_IN_FLIGHT="32", REQUEST_TIMEOUT_S="60") as (url, _, process),
        anyio.create_task_group() as tasks,
    ):
        async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False, verify=False) as http:
            await until(lambda: reads(http), "the start")
            vlm.fail(hang=True)
            answers: list[int] = []

            async def send() -> None:
                answers.append((await http.post("/ocr", content=PNG)).status_code)

            for _ in range(20):
                tasks.start_soon(send)
            await vlm.until(lambda: vlm.in_flight == 20)
            process.send_signal(signal.SIGTERM)

            async def draining() -> bool:
                return (await http.get("/health/ready")).json()["status"] == "draining"

            await until(draining, "the drain")
            assert (await http.post("/ocr", content=PNG)).status_code == 503
            vlm.heal()
            await until(lambda: anyio.to_thread.run_sync(lambda: len(answers) == 20), "all answers")
        assert answers == [200] * 20


async def test_the_listener_and_the_workers_may_die() -> None:
    """After kill -9 of supervisord's listener there is a new one; a decoding process that dies costs one request."""
    async with (
        Standin() as vlm,
        service(vlm) as (url, run_dir, _),
        httpx.AsyncClient(base_url=url, timeout=30, trust_env=False, verify=False) as http,
    ):
        await until(lambda: reads(http), "the start")
        (listener,) = named(run_dir, "gateway.listener")
        os.kill(listener, signal.SIGKILL)

        async def renewed() -> bool:
            return named(run_dir, "gateway.listener") not in ([], [listener])

        await until(renewed, "a new listener")
        for worker in child_processes.children_of(gateway_pid(run_dir)):
            os.kill(worker, signal.SIGKILL)
        first = await http.post("/ocr", content=PNG)
        assert first.status_code in (200, 400)
        assert [await reads(http) for _ in range(5)] == [True] * 5


async def test_the_death_of_supervisord_ends_the_service_with_a_failure() -> None:
    """Nothing could start anything again, so the container ends, non-zero, and leaves no process behind."""
    async with Standin() as vlm, service(vlm) as (url, run_dir, process):
        async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False, verify=False) as http:
            await until(lambda: reads(http), "the start")
        (supervisord,) = named(run_dir, "supervisor.supervisord")
        os.kill(supervisord, signal.SIGKILL)
        assert await anyio.to_thread.run_sync(process.wait, 30) != 0


def may_mount() -> bool:
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="needs the right to mount")
async def test_a_full_disk_does_not_stop_the_reading() -> None:
    """With no byte left where the logs go, documents are read, the gateway is started again when it dies, and the exit
    is 0; documents never touch the disk."""
    small = Path(mkdtemp(prefix="small-"))
    await anyio.run_process(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)])
    try:
        async with (
            Standin() as vlm,
            service(vlm, RUN_DIR=str(small / "run"), LOG_LEVEL="info") as (url, _, _),
            httpx.AsyncClient(base_url=url, timeout=30, trust_env=False, verify=False) as http,
        ):
            await until(lambda: reads(http), "the start")
            with pytest.raises(OSError), (small / "filler").open("wb", buffering=0) as filler:
                while True:
                    filler.write(bytes(4096))
            pages = documents.tiff(["page"] * 20, (1000, 1000))
            for _ in range(10):
                assert (await http.post("/ocr", content=pages)).status_code == 200
            os.kill(gateway_pid(small / "run"), signal.SIGKILL)
            await until(lambda: reads(http), "the gateway's return on a full disk")
    finally:
        await anyio.run_process(["umount", "--lazy", str(small)])
        await anyio.Path(small).rmdir()


def held(gateway: Serving) -> dict[str, int]:
    """Descriptors and threads of the gateway, and its processes."""
    pid = gateway.process.pid
    return {kind: len(os.listdir(f"/proc/{pid}/{kind}")) for kind in ("fd", "task")} | {"processes": len(gateway.pids)}


async def test_callers_that_leave_take_everything_along(figures: Callable[[str], None]) -> None:
    """Gone in the middle of a head, a body, the reading or the answer, they leave no descriptor, thread or process."""

    async def leave(port: int, *pieces: bytes, reads: bool = False) -> None:
        stream = await anyio.connect_tcp("127.0.0.1", port)
        async with stream:
            for piece in pieces:
                await stream.send(piece)
            if reads:
                await stream.receive(1)
            else:
                await anyio.sleep(0.05)
            stream.extra(anyio.abc.SocketAttribute.raw_socket).setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
            )

    document = documents.tiff(["a", "b", "c"], (300, 300))
    whole = b"Accept: application/x-ndjson\r\nContent-Length: %d\r\n\r\n" % len(document) + document
    async with Standin() as vlm, serving(vlm.url) as gateway:
        await gateway.http.aclose()
        vlm.fail(slow=0.3)

        async def leave_in_every_way() -> dict[str, int]:
            async with anyio.create_task_group() as tasks:
                for _ in range(8):
                    tasks.start_soon(leave, gateway.port, POST)
                    tasks.start_soon(leave, gateway.port, POST + b"Content-Length: 1000000\r\n\r\n", bytes(200_000))
                    tasks.start_soon(leave, gateway.port, POST + whole)
            await vlm.until(lambda: vlm.in_flight == 0)
            await anyio.sleep(0.5)
            return held(gateway)

        first = await leave_in_every_way()
        for _ in range(4):
            last = await leave_in_every_way()
        figures(f"held after 24 callers {first}, after 120 {last}")
        # the pool may keep some connections to the backend more or less; threads are bounded, and come as needed
        assert last["fd"] <= first["fd"] + 10 and last["task"] <= 60 and last["processes"] <= 5


async def test_of_200_callers_gone_at_random_moments_nothing_runs_on(figures: Callable[[str], None]) -> None:
    """Two seconds after the last has left, the backend works on nothing of theirs, no seat, place or byte is taken, no
    connection is open, and the next caller is served."""
    chance = random.Random(1)
    documents_of = (PNG, documents.tiff(["a", "b", "c"], (300, 300)), documents.pdf(["d"] * 4, (100, 100)))
    headers = ({}, {"accept": "application/x-ndjson"})
    scopes = [anyio.CancelScope() for _ in range(200)]
    async with Standin() as vlm, gateway(vlm.url) as running:
        vlm.sequences, vlm.token_s = 4, 0.2

        async def leave(scope: anyio.CancelScope) -> None:
            async with httpx.AsyncClient(base_url=running.http.base_url, timeout=30, verify=False) as http:
                with scope:
                    await http.post("/ocr", content=chance.choice(documents_of), headers=chance.choice(headers))

        async with anyio.create_task_group() as tasks:
            for scope in scopes:
                tasks.start_soon(leave, scope)
            await vlm.until(lambda: vlm.in_flight >= 4)
            for scope in scopes:
                scope.deadline = anyio.current_time() + chance.uniform(0, 3)
        await anyio.sleep(2)
        assert vlm.in_flight == 0
        gone = sum(asked.outcome == "gone" for asked in vlm.requests)
        figures(f"of {len(vlm.requests)} regions at the backend {gone} were given up")
        assert gone > 0
        assert (running.admission.admitted, running.admission.bytes_held, running.connections()) == (0, 0, 0)
        vlm.token_s = 0.001
        assert (await running.ocr(PNG)).status_code == 200
