"""Looking at processes from outside: wait for what they do, find those of one run, reserve a port."""

import random
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

BOUND_S = 30.0
T = TypeVar("T")


def free_port() -> int:
    """One that stays free until it is used: the system gives no ports of this range to who asks for any."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.SystemRandom().randrange(10_000, 32_000)))
            return int(probe.getsockname()[1])


def send_at_once(listener: socket.socket) -> None:
    """Have no small piece wait 40 ms for the one before; asyncio sees to that only for listeners that it makes."""
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def until(condition: Callable[[], T], what: str, bound_s: float = BOUND_S) -> T:
    """The first true value of `condition`; fails loudly after a bounded wait."""
    end = time.monotonic() + bound_s
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {bound_s:.0f} s for {what}"
        time.sleep(0.05)
    return value


def processes(run_dir: Path) -> list[int]:
    """Every living process of the run in `run_dir`, told by its environment."""
    mark = f"RUN_DIR={run_dir}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone, or another user's
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found
