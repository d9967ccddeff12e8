"""What the tests ask the system about the processes they started. Linux only."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def children() -> set[int]:
    """The processes that this one started and that are not reaped."""
    return children_of(os.getpid())


def children_of(pid: int) -> set[int]:
    """The processes that `pid` started and that are not reaped."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(
            FileNotFoundError, ProcessLookupError
        ):  # a thread that ended meanwhile; the rest have its children
            found.update(map(int, (task / "children").read_text().split()))
    return found


def resident_bytes(pid: int) -> int:
    """The memory a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_bytes(pid: int) -> int:
    """The most memory a process has held since `forget_peak`; 0 when it is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return 0


def forget_peak(pid: int) -> None:
    """Set a process's peak to what it holds now."""
    with suppress(FileNotFoundError, ProcessLookupError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")
