from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from gateway.errors import BadDocument
from gateway.intake.shared_file import SharedFile

in_memory_or_not = pytest.mark.parametrize("in_memory", [True, False])


@in_memory_or_not
def test_bytes_are_found_under_the_path(in_memory: bool) -> None:
    """What is written is what another opener of the path reads, and emptying takes it away from all."""
    with SharedFile(in_memory=in_memory) as file:
        file.write(b"abc")
        file.write(b"def")
        with open(file.path, "rb") as opened:
            assert opened.read() == b"abcdef"
            file.empty()
            opened.seek(0)
            assert opened.read() == b""


@in_memory_or_not
def test_pixels_are_the_end_of_the_file_and_outlive_it(in_memory: bool) -> None:
    """Pixels are a read-only view of the file's tail that stays when the file is closed."""
    with SharedFile(in_memory=in_memory) as file:
        file.write(b"header" + bytes(range(24)))
        pixels = file.pixels(4, 2)
    assert not Path(file.path).exists()
    assert not pixels.flags.writeable
    assert np.array_equal(pixels, np.arange(24, dtype=np.uint8).reshape(2, 4, 3))


@pytest.mark.parametrize("size", [(4, 2), (0, 0)])
def test_too_few_bytes_are_no_page(size: tuple[int, int]) -> None:
    """A file that is shorter than the pixels it should hold, or a page without any, is an error and not a crash."""
    with SharedFile() as file:
        file.write(bytes(23))
        with pytest.raises(BadDocument):
            file.pixels(*size)


@in_memory_or_not
def test_nothing_is_left_behind(in_memory: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither descriptors nor files remain once file and pixels are gone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = len(os.listdir("/dev/fd"))
    for _ in range(10):
        with SharedFile(in_memory=in_memory) as file:
            file.write(bytes(12))
            file.pixels(2, 2)
    assert len(os.listdir("/dev/fd")) == before
    assert not list(tmp_path.iterdir())
