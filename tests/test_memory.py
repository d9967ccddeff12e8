"""How much memory is free, read from a /proc and a /sys of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.memory import Memory


def system(root: Path, available_kb: int, **files: str) -> Path:
    """A root with `available_kb` free in the machine, and `files` by their path with `__` for a slash."""
    for name, text in {"proc__meminfo": f"MemTotal: 9 kB\nMemAvailable: {available_kb} kB\n", **files}.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


STAT = "anon 5\ninactive_file 100\nactive_file 20\nshmem 7\n"


def test_the_machine_alone(tmp_path: Path) -> None:
    """Without limited groups it is what the machine has."""
    assert Memory(1, system(tmp_path, 4)).available() == 4096
    assert Memory(1, system(tmp_path, 4, proc__self__cgroup="0::/\n")).available() == 4096


@pytest.mark.parametrize("group", ["/", "/kube/pod"])
def test_a_limited_group_counts_what_the_kernel_would_give_back(tmp_path: Path, group: str) -> None:
    """The tightest limit rules, of the process's group or of one above; files' pages are as good as free."""
    files = {"proc__self__cgroup": f"0::{group}\n", "sys__fs__cgroup__memory.max": "1000"}
    files |= {"sys__fs__cgroup__memory.current": "900", "sys__fs__cgroup__memory.stat": STAT}
    files |= {"sys__fs__cgroup__kube__pod__memory.max": "max", "sys__fs__cgroup__kube__pod__memory.current": "1"}
    assert Memory(1, system(tmp_path, 4, **files)).available() == 1000 - 900 + 120


def test_the_older_kind_of_groups(tmp_path: Path) -> None:
    """Version 1 has other names for the same."""
    where = "sys__fs__cgroup__memory__docker__memory."
    files = {"proc__self__cgroup": "3:cpu:/docker\n2:memory:/docker\n", where + "limit_in_bytes": "1000"}
    files |= {where + "usage_in_bytes": "900", where + "stat": "total_inactive_file 50\ninactive_file 9\n"}
    assert Memory(1, system(tmp_path, 4, **files)).available() == 150


def test_short_is_below_the_reserve(tmp_path: Path) -> None:
    """A reserve of nothing is never short, nor is a system that does not say."""
    root = system(tmp_path, 4)
    assert not Memory(4096, root).short
    assert Memory(4097, root).short
    assert not Memory(0, root).short
    assert not Memory(1 << 60, tmp_path / "nowhere").short


def test_this_machine_says_how_much_it_has() -> None:
    """Linux always does."""
    available = Memory(1).available()
    assert available is not None and available > 1 << 20
