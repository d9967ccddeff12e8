from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

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
def test_what_is_mapped_outlives_the_file(in_memory: bool) -> None:
    """Memory stays readable after the file is closed, and is mapped once while it is long enough."""
    with SharedFile(in_memory=in_memory) as file:
        file.write(bytes(range(24)))
        mapped = file.mapped(20)
        assert file.mapped(10) is mapped
        assert len(file.mapped(24)) == file.length() == 24
    assert not Path(file.path).exists()
    assert mapped[:20] == bytes(range(20))
    with pytest.raises(TypeError):
        mapped[0] = 1


@in_memory_or_not
def test_nothing_is_left_behind(in_memory: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither descriptors nor files remain once file and pixels are gone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = len(os.listdir("/dev/fd"))
    for _ in range(10):
        with SharedFile(in_memory=in_memory) as file:
            file.write(bytes(12))
            file.mapped(12)
    assert len(os.listdir("/dev/fd")) == before
    assert not list(tmp_path.iterdir())
