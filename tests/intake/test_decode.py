from __future__ import annotations

import os
from pathlib import Path

import documents

from gateway.intake import decode


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    """The document that is kept open is known by more than its path: another one there is never taken for it."""
    path = tmp_path / "document"
    path.write_bytes(documents.pdf(["a"]))
    assert decode.inspect(str(path), "pdf", 10**8) == 1
    path.write_bytes(documents.pdf(["a", "b"]))
    assert decode.inspect(str(path), "pdf", 10**8) == 2
    other = tmp_path / "other"
    other.write_bytes(documents.pdf(["a", "b", "c"]))
    os.replace(other, path)
    assert decode.inspect(str(path), "pdf", 10**8) == 3


def test_the_rows_of_the_page_are_where_it_says(tmp_path: Path) -> None:
    """What is drawn are height x width x 3 bytes, over whatever the file held."""
    path, out = tmp_path / "document", tmp_path / "page"
    path.write_bytes(documents.encode(documents.corners((4, 2)), "PNG"))
    out.write_bytes(bytes(200))
    width, height, start = decode.render(str(path), "png", 1, 200, 10**8, str(out))
    assert (width, height) == (4, 2)
    red, lime, blue, black = b"\xff\0\0", b"\0\xff\0", b"\0\0\xff", b"\0\0\0"
    assert out.read_bytes()[start : start + 24] == red * 2 + lime * 2 + blue * 2 + black * 2
