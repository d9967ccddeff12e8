"""Supervisor's event listener: ends the service when one of its processes cannot be kept alive.

`python -m gateway.listener FILE`, started by supervisord. A program that supervisord gave up (FATAL), or that exits
again and again although it starts well, is written to FILE in one sentence; then supervisord is told to stop.
entrypoint.sh reads FILE and ends with a failure, because supervisord itself exits with 0.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from supervisor.childutils import get_headers, listener

MOST_EXITS = 5
WINDOW_S = 1800.0
"""vLLM takes minutes to start, so five of its exits in a row may take a quarter of an hour."""

Headers = dict[str, str]


@dataclass
class Watch:
    """Counts exits by program. Every exit counts, whatever its code: a requested stop is no EXITED event."""

    clock: Callable[[], float] = time.monotonic
    _exits: defaultdict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def verdict(self, event: str, process: Headers) -> str | None:
        """Why the service must end, or None; `event` is supervisor's event name, `process` its payload."""
        name = process["processname"]
        if event == "PROCESS_STATE_FATAL":
            return f"{name} is FATAL: it exits as soon as it is started; its own log says why"
        exits, now = self._exits[name], self.clock()
        exits.append(now)
        while now - exits[0] > WINDOW_S:
            exits.popleft()
        if len(exits) >= MOST_EXITS:
            return f"{name} exited {len(exits)} times within {WINDOW_S / 60:.0f} minutes; its own log says why"
        return None


def events(stdin: TextIO, stdout: TextIO) -> Iterator[tuple[str, Headers]]:
    """Supervisor's events, each acknowledged after it was handled; ends when supervisord is gone."""
    while True:
        listener.ready(stdout)
        if not (line := stdin.readline()):
            return
        head = get_headers(line)
        yield head["eventname"], get_headers(stdin.read(int(head["len"])))
        listener.ok(stdout)


def end_group(pid: int) -> None:
    """Kill what a dead program left behind: its group still has its number, and a vLLM engine its GPU memory."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def run(failed: Path, watch: Watch, stdin: TextIO, stdout: TextIO, stderr: TextIO) -> None:
    """Handle events until supervisord closes `stdin`; `failed` gets the reason before supervisord is stopped."""
    for event, process in events(stdin, stdout):
        if "pid" in process:
            end_group(int(process["pid"]))
        reason = watch.verdict(event, process)
        if reason is None or failed.exists():
            continue
        stderr.write(f"{reason}; stopping the service\n")
        stderr.flush()
        try:
            failed.write_text(reason + "\n")
        finally:
            os.kill(os.getppid(), signal.SIGTERM)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Watch(), sys.stdin, sys.stdout, sys.stderr)
