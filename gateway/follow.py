"""Copies growing log files to stdout, each line after its program's name.

`python -m gateway.follow FOLDER` follows every `FOLDER/*.log` until stdin is closed, then copies what is left. It
alone writes to the container's stdout, whole lines only, and it is the one process that a slow reader of that log can
stop. Rotation as supervisor does it (`name.log` becomes `name.log.1`, and so on) loses nothing that still exists.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

POLL_S = 0.2
CHUNK = 1 << 16
LONGEST_LINE = 1 << 20


class Log:
    """One log file and its rotated predecessors."""

    def __init__(self, path: Path) -> None:
        self._path = path
        *_, oldest = path, *itertools.takewhile(Path.exists, self._youngest_first())
        self._file: BinaryIO = oldest.open("rb")
        self._rest = b""

    def lines(self) -> Iterator[bytes]:
        """The whole lines written since the last call, each with its newline."""
        while True:
            yield from self._read()
            if (newer := self._newer()) is None:
                return
            yield from self._read()  # written between our reading and the rotation
            self._file.close()
            self._file = newer

    def close(self) -> Iterator[bytes]:
        """The last lines, and the one that was never ended."""
        yield from self.lines()
        self._file.close()
        if self._rest:
            yield self._rest + b"\n"

    def _read(self) -> Iterator[bytes]:
        while chunk := self._file.read(CHUNK):
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            yield from (line + b"\n" for line in whole)
            if len(self._rest) > LONGEST_LINE:
                yield self._rest + b"\n"
                self._rest = b""

    def _newer(self) -> BinaryIO | None:
        """The file that was begun after ours; backups are numbered by age."""
        ours, newer = os.fstat(self._file.fileno()), None
        with contextlib.suppress(FileNotFoundError):  # no older one is left, or in the middle of a rotation
            for path in self._youngest_first():
                if os.path.samestat(path.stat(), ours):
                    break
                newer = path
        return newer.open("rb") if newer else None

    def _youngest_first(self) -> Iterator[Path]:
        yield self._path
        yield from (Path(f"{self._path}.{age}") for age in itertools.count(1))


def copy(folder: Path, logs: dict[Path, Log], out: BinaryIO, *, last: bool = False) -> None:
    """Write the new lines of every log in `folder` to `out`."""
    for path in folder.glob("*.log"):
        if path not in logs:
            with contextlib.suppress(FileNotFoundError):  # in the middle of a rotation
                logs[path] = Log(path)
    for path, log in logs.items():
        for line in log.close() if last else log.lines():
            out.write(path.stem.encode() + b" | " + line)
    out.flush()


def run(folder: Path, stdin: BinaryIO, out: BinaryIO) -> None:
    """Copy until `stdin` is closed."""
    logs: dict[Path, Log] = {}
    while not select.select([stdin], [], [], POLL_S)[0]:
        copy(folder, logs, out)
    copy(folder, logs, out, last=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the last lines are written while everything else stops
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:  # nobody reads the container's log; the files are still there
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
