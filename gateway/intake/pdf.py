"""PDF through PDFium. Runs in worker processes."""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import re
from typing import TYPE_CHECKING, Any

import pypdfium2
from pypdfium2 import raw

from gateway.errors import BadDocument, EncryptedDocument, TooManyPixels
from gateway.intake.scan import Scans, fill

if TYPE_CHECKING:  # what is drawn by PDFium does without
    from numpy.typing import NDArray

POINTS_PER_INCH = 72

_HEAD_BYTES = 1024  # the linearization dictionary ends within the first 1024 bytes (ISO 32000-1, annex F.3.3)
_LINEARIZED = re.compile(rb"/Linearized\b.*?/L\s+([0-9]{1,12})", re.DOTALL)


class Pdf:
    """Kept open from page to page: parsing the cross-references of a long document takes longer than a page."""

    def __init__(self, path: str) -> None:
        _refuse_cut_off(path)
        handle = raw.FPDF_LoadDocument(path.encode(), None)
        if not handle:
            raise _load_error(raw.FPDF_GetLastError())
        self._pdf = pypdfium2.PdfDocument(handle)
        self._scans = Scans(path)
        self._pdf.init_forms()  # before any page is touched, or filled-in fields stay blank
        self.count = len(self._pdf)
        if self.count < 1:
            raise BadDocument("the pdf has no pages")

    def draw(self, number: int, dpi: int, max_pixels: int, out_path: str) -> tuple[int, int, int]:
        page = self._pdf[number - 1]
        try:
            width, height = page.get_size()
            scale = _scale(width, height, dpi, max_pixels)
            size = math.ceil(width * scale), math.ceil(height * scale)
            if (scan := self._scans.pixels(page, *size)) is not None:
                _copy(scan, *size, out_path)
                return *size, 0
            bitmap = page.render(scale=scale, rev_byteorder=True, bitmap_maker=_Canvas(out_path))
            drawn = bitmap.width, bitmap.height, 0
            bitmap.close()
        finally:
            page.close()
        return drawn

    def close(self) -> None:
        self._pdf.close()


class _Canvas:
    """Lets PDFium draw straight into the file."""

    def __init__(self, out_path: str) -> None:
        self._out_path = out_path

    def __call__(self, width: int, height: int, **bitmap_format: Any) -> pypdfium2.PdfBitmap:
        size = width * height * 3
        buffer = (ctypes.c_ubyte * size).from_buffer(_mapped(self._out_path, size))
        return pypdfium2.PdfBitmap.new_native(width, height, buffer=buffer, **bitmap_format)


def _copy(scan: NDArray[Any], width: int, height: int, out_path: str) -> None:
    import numpy as np

    size = width * height * 3
    fill(np.frombuffer(_mapped(out_path, size), np.uint8).reshape(height, width, 3), scan)


def _mapped(out_path: str, size: int) -> mmap.mmap:
    with open(out_path, "r+b") as out:
        if out.seek(0, os.SEEK_END) < size:
            out.truncate(size)
        return mmap.mmap(out.fileno(), size)


def _scale(width: float, height: float, dpi: int, max_pixels: int) -> float:
    """Pixels per point: `dpi`, or the most that keeps the page within `max_pixels`, at least one."""
    if not (math.isfinite(width * height) and width > 0 and height > 0):
        raise BadDocument("the page has no size")
    scale = dpi / POINTS_PER_INCH
    if math.ceil(width * scale) * math.ceil(height * scale) > max_pixels:
        scale = math.sqrt(max_pixels / (width * height))
    while math.ceil(width * scale) * math.ceil(height * scale) > max_pixels:  # rounding up may be one row too many
        scale *= 0.999
    if scale < 1:
        raise TooManyPixels(
            f"a page of {width:.0f} x {height:.0f} points has more than {max_pixels} pixels at {POINTS_PER_INCH} dpi"
        )
    return scale


def _load_error(code: int) -> BadDocument:
    if code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
        return EncryptedDocument("the pdf is encrypted and needs a password")
    return BadDocument("the pdf is damaged or cut off")


def _refuse_cut_off(path: str) -> None:
    """PDFium mends a file whose end is missing and shows the lost pages blank; nobody would notice."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        linearized = _LINEARIZED.search(data[:_HEAD_BYTES])
        short = linearized is not None and int(linearized[1]) > len(data)
        if short or (data.rfind(b"startxref") < 0 and data.rfind(b"%%EOF") < 0):
            raise BadDocument("the pdf is cut off: its end is missing")
