"""Bytes that two processes share by opening one path: a document on its way in, a page's pixels on their way out."""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self


class SharedFile:
    """An anonymous file: in memory where the system can (Linux), else a temporary file on disk.

    Memory files need neither a writable disk nor /dev/shm, which is 64 MB in a Kubernetes pod. Another process of the
    same user opens `path` for as long as this object is open.
    """

    def __init__(self, *, in_memory: bool = hasattr(os, "memfd_create")) -> None:
        if in_memory:
            self._fd = os.memfd_create("document")
            self.path = f"/proc/{os.getpid()}/fd/{self._fd}"
        else:
            self._fd, self.path = tempfile.mkstemp(prefix="document-")
        self._on_disk = not in_memory
        self._mapped: mmap.mmap | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it. What was mapped stays valid."""
        self._mapped = None
        os.close(self._fd)
        if self._on_disk:
            Path(self.path).unlink()

    def write(self, data: bytes) -> None:
        """Append `data`."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def empty(self) -> None:
        """Give the memory back even while a worker still holds the file open. Not for files that are mapped."""
        os.ftruncate(self._fd, 0)

    def length(self) -> int:
        """Bytes it has now."""
        return os.fstat(self._fd).st_size

    def mapped(self, length: int) -> mmap.mmap:
        """Its memory, read-only, at least so many bytes of it; the same as before where that is enough."""
        if self._mapped is None or len(self._mapped) < length:
            self._mapped = mmap.mmap(self._fd, length, access=mmap.ACCESS_READ)
        return self._mapped
