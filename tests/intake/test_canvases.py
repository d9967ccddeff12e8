from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from gateway.errors import BadDocument
from gateway.intake.canvases import Canvases
from gateway.intake.shared_file import SharedFile


def written(canvases: Canvases, content: bytes) -> SharedFile:
    file = canvases.take()
    with open(file.path, "r+b") as out:
        out.write(content)
    return file


def test_pixels_are_a_read_only_view_that_outlives_the_canvases() -> None:
    """Rows start where the writer says; they stay when everything else is closed."""
    canvases = Canvases()
    pixels = canvases.show(written(canvases, b"header" + bytes(range(24)) + b"older"), 4, 2, 6)
    canvases.close()
    assert not pixels.flags.writeable
    assert np.array_equal(pixels, np.arange(24, dtype=np.uint8).reshape(2, 4, 3))


def test_a_file_is_used_again_when_no_view_of_it_is_left() -> None:
    """Not before: a part of a page that somebody still holds keeps its file from the next page."""
    canvases = Canvases()
    file = written(canvases, bytes(range(24)))
    pixels = canvases.show(file, 4, 2, 0)
    part = pixels[1:, :2]
    del pixels
    other = canvases.take()
    assert other is not file
    assert part.tolist() == [[[12, 13, 14], [15, 16, 17]]]
    del part
    assert canvases.take() is file
    file.close()
    other.close()


def test_a_view_may_end_in_any_thread() -> None:
    """Crops are made in threads, and the last of them may be the last to hold the page."""
    canvases = Canvases()
    file = written(canvases, bytes(12))
    held = [canvases.show(file, 2, 2, 0)]
    thread = threading.Thread(target=held.clear)
    thread.start()
    thread.join()
    assert canvases.take() is file
    file.close()


@pytest.mark.parametrize("size", [(4, 2), (0, 0)])
def test_too_few_bytes_are_no_page(size: tuple[int, int]) -> None:
    """A file that is shorter than the pixels it should hold, or a page without any, is an error and not a crash."""
    canvases = Canvases()
    with pytest.raises(BadDocument):
        canvases.show(written(canvases, bytes(23)), *size, 0)


def test_only_some_files_are_kept_and_none_at_the_end() -> None:
    """A burst of pages, a huge page, a page that failed and the end of it all leave no descriptors behind."""
    before = len(os.listdir("/dev/fd"))
    canvases = Canvases()
    shown = [canvases.show(written(canvases, bytes(12)), 2, 2, 0) for _ in range(20)]
    shown.append(canvases.show(written(canvases, bytes(30 << 20)), 1 << 10, 10 << 10, 0))
    canvases.drop(canvases.take())
    shown.clear()
    assert len(os.listdir("/dev/fd")) == before + 2 * 8  # a mapping holds a descriptor of its own
    last = canvases.show(written(canvases, bytes(12)), 2, 2, 0)
    canvases.close()
    assert last.sum() == 0
    del last
    assert len(os.listdir("/dev/fd")) == before
