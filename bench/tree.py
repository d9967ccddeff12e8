"""What a process and all its descendants cost, read from /proc: CPU seconds and memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def members(root: int) -> list[int]:
    """The process and its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of the tree, that of ended and awaited children included."""
    total = 0
    for pid in members(root):
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))
    return total / _TICKS


def memory_mb(root: int) -> float:
    """Proportional set size of the tree: pages shared by several of its processes count once."""
    total = 0
    for pid in members(root):
        with suppress(OSError, IndexError, ValueError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(rollup.split("\nPss:", 1)[1].split()[0])
    return total / 1024


def busy_seconds() -> float:
    """What all cores together have worked, for anybody."""
    user, nice, system, _, _, irq, soft, steal = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    return (user + nice + system + irq + soft + steal) / _TICKS


class Watch:
    """Measures a tree over the body of a `with`: `cpu` seconds, `peak` and `before` in MB, and `others`, the cores that
    processes outside of the trees of `root` and `ours` kept busy meanwhile."""

    def __init__(self, root: int, ours: Sequence[int] = (), every: float = 0.5) -> None:
        self._root, self._ours, self._every = root, ours, every
        self.others = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.cpu = self.peak = self.before = 0.0

    def __enter__(self) -> Watch:
        self.before = self.peak = memory_mb(self._root)
        self.cpu = -cpu_seconds(self._root)
        self._begun = time.monotonic()
        self.others = self._foreign()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu += cpu_seconds(self._root)
        self.others = (self._foreign() - self.others) / (time.monotonic() - self._begun)
        self._stop.set()
        self._thread.join()

    def _foreign(self) -> float:
        mine = {pid for root in self._ours for pid in members(root)}
        roots = [*self._ours, *({self._root} - mine)]
        return busy_seconds() - sum(cpu_seconds(root) for root in roots)

    def _sample(self) -> None:
        while not self._stop.wait(self._every):
            self.peak = max(self.peak, memory_mb(self._root))
