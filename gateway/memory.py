"""How much memory there is still to have: of the container, if it is limited, and of the machine."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

LOOK_AGAIN_S = 0.25


def of_children() -> list[int]:
    """Bytes that each process which this one started holds, what it shares with others included; Linux only."""
    held: list[int] = []
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError, ValueError):  # a thread or a process that ended meanwhile
            pages = [Path(f"/proc/{pid}/statm").read_text().split()[1] for pid in task.read_text().split()]
            held += [int(count) * resource.getpagesize() for count in pages]
    return held


class Memory:
    """`reserve` bytes are to stay free; 0 asks for nothing. `root` is where /proc and /sys are."""

    def __init__(self, reserve: int, root: Path = Path("/")) -> None:
        self.reserve = reserve
        self._root = root
        self._looked_at = float("-inf")
        self._short = False

    @property
    def short(self) -> bool:
        """Less than the reserve is free. Answers from memory most of the time."""
        now = time.monotonic()
        if self.reserve and now - self._looked_at > LOOK_AGAIN_S:
            available = self.available()
            self._looked_at, self._short = now, available is not None and available < self.reserve
        return self._short

    def available(self) -> int | None:
        """Bytes that could be had without swapping or killing; None where the system does not say."""
        return min((*self._of_machine(), *self._of_cgroups()), default=None)

    def _of_machine(self) -> Iterator[int]:
        values = _table(self._root / "proc/meminfo")
        if "MemAvailable:" in values:
            yield values["MemAvailable:"] << 10

    def _of_cgroups(self) -> Iterator[int]:
        """Of this process's groups and those above; in a container the path may lead nowhere, and the root is ours."""
        with suppress(OSError):
            for line in (self._root / "proc/self/cgroup").read_text().splitlines():
                _, kinds, path = line.split(":", 2)
                own = PurePosixPath(path.lstrip("/"))
                for folder in (own, *own.parents):
                    if not kinds:
                        yield from self._of_group(self._root / "sys/fs/cgroup" / folder, *_V2)
                    elif "memory" in kinds.split(","):
                        yield from self._of_group(self._root / "sys/fs/cgroup/memory" / folder, *_V1)

    def _of_group(self, group: Path, limit: str, usage: str, caches: tuple[str, ...]) -> Iterator[int]:
        with suppress(OSError, ValueError):  # no limit is the word "max", or no file
            most, used = int((group / limit).read_text()), int((group / usage).read_text())
            stat = _table(group / "memory.stat")
            yield most - used + sum(stat.get(cache, 0) for cache in caches)


# What the kernel would give back: files' pages, but not those of memory files, which count as anonymous.
_V2 = ("memory.max", "memory.current", ("inactive_file", "active_file"))
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))


def _table(path: Path) -> dict[str, int]:
    with suppress(OSError):
        return {words[0]: int(words[1]) for line in path.read_text().splitlines() if len(words := line.split()) > 1}
    return {}
