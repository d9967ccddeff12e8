"""Processes that run what a hostile document could hang, crash or bloat.

`anyio.to_process` does nearly this, but leaves a process behind for good when a call is cancelled while its worker
starts, never reads the worker's stderr (a chatty C library then blocks), runs the caller's `__main__` again in every
worker, and cannot send a document's next page to the worker that has the document open.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar, TypeVarTuple, cast

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process
from anyio.streams.buffered import BufferedByteReceiveStream

from gateway import metrics
from gateway.errors import BadDocument
from gateway.intake.worker import LENGTH_BYTES
from gateway.turns import EVERYBODY, Party, Turns

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_CALLS_PER_PROCESS = 1000  # then a fresh one takes over, and what the C libraries leaked goes with the old one
_GRACE_S = 5.0  # after this much more the worker ends itself, if the gateway is gone and cannot end it
_START = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from gateway.intake.worker import main; main({})"


class Workers:
    """At most `count` processes, started when first needed, each with `memory_bytes` of address space."""

    def __init__(self, count: int, memory_bytes: int) -> None:
        self.queue = Turns(count, "decoder")
        """Those who wait for a process."""
        self._memory_bytes = memory_bytes
        self._idle: list[_Worker] = []

    async def aclose(self) -> None:
        """End the processes; none may be at work."""
        while self._idle:
            await self._idle.pop().kill()

    async def run(
        self,
        function: Callable[[*Ts], T],
        *arguments: *Ts,
        seconds: float,
        document: str = "",
        party: Party = EVERYBODY,
    ) -> T:
        """Call an importable `function` in a worker, rather one that was last given the same `document`. Turns go by
        `party`.

        Raises what the function raises, and `BadDocument` if it takes longer than `seconds` or ends its process.
        Cancelling it kills the process; waiting for a free worker does not count against `seconds`.
        """
        async with self.queue.place(party):
            worker = await self._take(document)
            try:
                with anyio.fail_after(seconds):
                    value, error = await worker.call(seconds + _GRACE_S, function, arguments)
            except TimeoutError as exc:
                await worker.kill("timeout")
                raise BadDocument(f"decoding took too long (more than {seconds:g} s)") from exc
            except (OSError, anyio.BrokenResourceError, anyio.EndOfStream, anyio.IncompleteRead) as exc:
                await worker.kill("crash")
                raise BadDocument("decoding the document ended the process that did it") from exc
            except BaseException:
                await worker.kill("cancelled")
                raise
            if worker.calls < _CALLS_PER_PROCESS:
                self._idle.append(worker)
            else:
                await worker.kill()
        if error is not None:
            raise error
        return cast(T, value)

    async def _take(self, document: str) -> _Worker:
        dead = [worker for worker in self._idle if worker.is_dead()]
        for worker in dead:
            self._idle.remove(worker)
        for worker in dead:
            await worker.kill("crash")
        for index, worker in enumerate(self._idle):
            if worker.document == document:
                return self._idle.pop(index)
        worker = self._idle.pop() if self._idle else await self._start()
        worker.document = document
        return worker

    async def _start(self) -> _Worker:
        command = [sys.executable, "-c", _START.format(self._memory_bytes), json.dumps(sys.path)]
        with anyio.CancelScope(shield=True):  # cut short, it would leave a process that nobody knows
            process = await anyio.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None)
        metrics.DECODER_STARTS.inc()
        return _Worker(process)


class _Worker:
    def __init__(self, process: Process) -> None:
        self.process = process
        self.document = ""
        self.calls = 0
        self._calls = cast(ByteSendStream, process.stdin)
        self._answers = BufferedByteReceiveStream(cast(ByteReceiveStream, process.stdout))

    def is_dead(self) -> bool:
        """Asked of the system where that can be, as the event loop hears of it only later."""
        if self.process.returncode is not None or not hasattr(os, "waitid"):
            return self.process.returncode is not None
        try:
            return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:  # the loop has just heard of it
            return True

    async def call(
        self, seconds: float, function: Callable[..., object], arguments: tuple[object, ...]
    ) -> tuple[object, Exception | None]:
        self.calls += 1
        await self._calls.send(pickle.dumps((seconds, function, arguments), pickle.HIGHEST_PROTOCOL))
        length = int.from_bytes(await self._answers.receive_exactly(LENGTH_BYTES), "big")
        answer: tuple[object, Exception | None] = pickle.loads(await self._answers.receive_exactly(length))
        return answer

    async def kill(self, cause: str = "") -> None:
        """End the process, whatever it is doing, and wait until it is gone; counted, if there is a `cause`."""
        if cause:
            metrics.DECODER_DEATHS.labels(cause).inc()
        with anyio.CancelScope(shield=True):
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.aclose()
