"""TIFF and BigTIFF: every frame of the chain is a page. Runs in worker processes."""

from __future__ import annotations

import mmap
import struct

from PIL import Image, TiffImagePlugin

from gateway.errors import BadDocument
from gateway.intake.picture import check_size, write_rgb


class Tiff:
    """Kept open from frame to frame, since reaching a frame means walking the chain to it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.count = _count_frames(path)
        self._image: TiffImagePlugin.TiffImageFile | None = None

    def draw(self, number: int, dpi: int, max_pixels: int, out_path: str) -> tuple[int, int, int]:
        image = self._frame(number - 1)
        check_size(image, max_pixels)
        image.load()  # Pillow turns TIFF frames upright by itself
        drawn = write_rgb(image, out_path)
        image._im = None  # an idle worker holds no pixels; there is no public way that keeps the file open
        return drawn

    def close(self) -> None:
        if self._image is not None:
            self._image.close()

    def _frame(self, index: int) -> TiffImagePlugin.TiffImageFile:
        if self._image is None or self._image.tell() == index:  # a frame drawn before has to be read again
            self.close()
            Image.MAX_IMAGE_PIXELS = None  # frames that are not asked for may be of any size
            self._image = TiffImagePlugin.TiffImageFile(self._path)
        self._image.seek(index)
        return self._image


def _count_frames(path: str) -> int:
    """Walk the chain of directories, each once. TIFF 6.0, section 2; BigTIFF has wider counts and offsets."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        order = "<" if data[:2] == b"II" else ">"
        big = struct.unpack_from(order + "H", data, 2)[0] == 43
        offset_format, count_format, entry_bytes = (
            (order + "Q", order + "Q", 20) if big else (order + "I", order + "H", 12)
        )
        (offset,) = struct.unpack_from(offset_format, data, 8 if big else 4)
        seen = set()
        while offset and offset not in seen:
            seen.add(offset)
            (entries,) = struct.unpack_from(count_format, data, offset)
            (offset,) = struct.unpack_from(
                offset_format, data, offset + struct.calcsize(count_format) + entries * entry_bytes
            )
    if not seen:
        raise BadDocument("the TIFF has no frames")
    return len(seen)
