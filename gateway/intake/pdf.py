"""PDF through PDFium. Runs in worker processes."""

from __future__ import annotations

import ctypes
import math
import mmap
import re
from typing import Any

import pypdfium2
from pypdfium2 import raw

from gateway.errors import BadDocument, EncryptedDocument, TooManyPixels
from gateway.intake.rows import write_rows
from gateway.intake.scan import Scans, fitted

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
                write_rows(fitted(scan, *size).data, out_path)
                return *size, 0
            bitmap = page.render(scale=scale, rev_byteorder=True, bitmap_maker=_canvas)
            write_rows(bitmap.buffer, out_path)
            drawn = bitmap.width, bitmap.height, 0
            bitmap.close()
        finally:
            page.close()
        return drawn

    def close(self) -> None:
        self._pdf.close()


def _canvas(width: int, height: int, **bitmap_format: Any) -> pypdfium2.PdfBitmap:
    """A bitmap whose rows follow each other without gaps."""
    buffer = (ctypes.c_ubyte * (width * height * 3))()
    return pypdfium2.PdfBitmap.new_native(width, height, buffer=buffer, **bitmap_format)


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
