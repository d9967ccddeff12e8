"""Bytes that two processes share by opening one path: a document on its way in, a page's pixels on their way out."""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from gateway.document import Pixels
from gateway.errors import BadDocument


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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it. Pixels already taken stay valid."""
        os.close(self._fd)
        if self._on_disk:
            Path(self.path).unlink()

    def write(self, data: bytes) -> None:
        """Append `data`."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def empty(self) -> None:
        """Give the memory back even while a worker still holds the file open. Not for files with pixels taken."""
        os.ftruncate(self._fd, 0)

    def pixels(self, width: int, height: int) -> Pixels:
        """The RGB pixels that end the file, as a read-only array over the file's own memory: no copy is made."""
        size = width * height * 3
        length = os.fstat(self._fd).st_size
        if size == 0 or length < size:
            raise BadDocument("the page was not decoded to its end")
        mapped = mmap.mmap(self._fd, length, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, np.uint8, size, length - size).reshape(height, width, 3)
