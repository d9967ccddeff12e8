"""PDF pages that are one JPEG: its own pixels, in place of a rendering of them. Runs in worker processes.

A page is taken for such a scan only where PDFium would draw the same but for its resampling; where that cannot be told,
it draws. It draws, too, where the picture has another size than the page: shrinking it here would cost as much.
PDFium has no word for the masks of a picture, so its dictionary is read from the file. That is sound, as streams and
their dictionaries are never packed into other streams (ISO 32000-1, 7.5.7), and one that is not found counts as masked.
A transfer function in the graphics state cannot be seen, and is not.
"""

from __future__ import annotations

import logging
import mmap
import re
from typing import TYPE_CHECKING

import pypdfium2
from pypdfium2 import raw

if TYPE_CHECKING:  # what is drawn by PDFium does without
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

_MOST_STREAMS = 100_000
_LONGEST_DICTIONARY = 1024
_MARK_BYTES, _MARK_AT = 64, 4096  # what pictures are known by: their first bytes and some further in

_PLAIN = re.compile(
    rb"\s*<<(?:\s*(?:/Type\s*/XObject|/Subtype\s*/Image|/Name\s*/\w+|/(?:Width|Height)\s+\d+|/BitsPerComponent\s+8"
    rb"|/Interpolate\s+(?:true|false)|/Length\s+\d+(?:\s+\d+\s+R)?|/Metadata\s+\d+\s+\d+\s+R"
    rb"|/ColorSpace\s*/Device(?:RGB|Gray)|/Filter\s*(?:/DCTDecode|\[\s*/DCTDecode\s*\])"
    rb"|/DecodeParms\s*<<(?:\s*/(?:Predictor|Colors|Columns|BitsPerComponent)\s+\d+)*\s*>>)(?=[\s/>]))*\s*>>\s*"
)
"""All that such a picture's dictionary may hold: no mask, no own range of values, no layer that may be hidden.

The parameters are those that tesseract writes; for a JPEG they mean nothing.
"""

_COLOURS = {raw.FPDF_COLORSPACE_DEVICEGRAY: ("Gray",), raw.FPDF_COLORSPACE_DEVICERGB: ("YCbCr", "RGB")}


class Scans:
    """The pages of one open PDF that are scans."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._plain: dict[bytes, bool] | None = None

    def pixels(self, page: pypdfium2.PdfPage, width: int, height: int) -> NDArray[np.uint8] | None:
        """The page as an array of `height` x `width` x 3, RGB, or one pixel smaller or larger either way.

        None if it is no scan, or one of another size.
        """
        if (shown := _only_picture(page, width, height)) is None:
            return None
        turn = raw.FPDFPage_GetRotation(page)
        wanted = (height, width) if turn % 2 else (width, height)
        try:
            pixels = self._own_pixels(shown, wanted)
        except (pypdfium2.PdfiumError, ValueError, MemoryError) as exc:
            log.debug("left to PDFium, which may mend it: %r", exc)
            return None
        if pixels is None:
            return None
        import numpy as np

        return np.rot90(pixels, -turn)  # the page is turned clockwise

    def _own_pixels(self, shown: pypdfium2.PdfImage, wanted: tuple[int, int]) -> NDArray[np.uint8] | None:
        size = shown.get_px_size()
        if max(abs(size[0] - wanted[0]), abs(size[1] - wanted[1])) > 1:
            return None
        data = bytes(shown.get_data())
        if not self._is_plain(data):
            return None
        import simplejpeg  # brings numpy

        high, wide, colour, _ = simplejpeg.decode_jpeg_header(data)
        expected = _COLOURS.get(shown.get_metadata().colorspace, ())  # the page's resources may say what a device's are
        if (wide, high) != size or colour not in expected:
            return None
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False)
        return pixels

    def _is_plain(self, data: bytes) -> bool:
        if len(data) < _MARK_AT + _MARK_BYTES:
            return False
        if self._plain is None:
            self._plain = _plain_pictures(self._path)
        return self._plain.get(_mark(data, 0), False)


def fitted(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """The `pixels` in one piece and of this size, from one row and column smaller to one larger: the last ones are
    repeated or left out."""
    import numpy as np

    if pixels.shape[:2] == (height, width):
        return np.ascontiguousarray(pixels)
    rows, columns = min(height, pixels.shape[0]), min(width, pixels.shape[1])
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:rows, :columns] = pixels[:rows, :columns]
    canvas[:rows, columns:] = pixels[:rows, columns - 1 : columns]
    canvas[rows:] = canvas[rows - 1]
    return canvas


def _only_picture(page: pypdfium2.PdfPage, width: int, height: int) -> pypdfium2.PdfImage | None:
    """The one picture that covers the page and beside which nothing is seen."""
    found = None
    if raw.FPDFPage_GetAnnotCount(page) != 0:
        return None
    for index in range(raw.FPDFPage_CountObjects(page)):
        thing = raw.FPDFPage_GetObject(page, index)
        if raw.FPDFPageObj_GetType(thing) == raw.FPDF_PAGEOBJ_IMAGE and found is None:
            found = thing
        elif not _is_unseen(thing):
            return None
    if found is None or raw.FPDFPageObj_HasTransparency(found) or raw.FPDFPageObj_CountMarks(found) != 0:
        return None
    if raw.FPDFClipPath_CountPaths(raw.FPDFPageObj_GetClipPath(found)) > 0:
        return None
    shown = pypdfium2.PdfObject(found, page=page, pdf=page.pdf)
    return shown if _covers(page, shown, width, height) else None


def _is_unseen(thing: raw.FPDF_PAGEOBJECT) -> bool:
    """Whether it is invisible text, or a form of nothing else: how text recognition leaves its words."""
    kind = raw.FPDFPageObj_GetType(thing)
    if kind == raw.FPDF_PAGEOBJ_FORM:
        count = raw.FPDFFormObj_CountObjects(thing)
        return count >= 0 and all(_is_unseen(raw.FPDFFormObj_GetObject(thing, index)) for index in range(count))
    if kind != raw.FPDF_PAGEOBJ_TEXT:
        return False
    return bool(raw.FPDFTextObj_GetTextRenderMode(thing) == raw.FPDF_TEXTRENDERMODE_INVISIBLE)


def _covers(page: pypdfium2.PdfPage, shown: pypdfium2.PdfImage, width: int, height: int) -> bool:
    """Whether the picture stands upright on the unturned page and its edges are the page's, within half a pixel."""
    across, skew_y, skew_x, up, x, y = shown.get_matrix().get()
    if skew_y or skew_x or across <= 0 or up <= 0:
        return False
    left, bottom, right, top = page.get_bbox()
    if raw.FPDFPage_GetRotation(page) % 2:
        width, height = height, width
    off_x, off_y = max(abs(x - left), abs(x + across - right)), max(abs(y - bottom), abs(y + up - top))
    return bool(off_x <= (right - left) / width / 2 and off_y <= (top - bottom) / height / 2)


def _plain_pictures(path: str) -> dict[bytes, bool]:
    """For the mark of each stream in the file whether all that have it are plain pictures."""
    plain: dict[bytes, bool] = {}
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = -1
        for _ in range(2 * _MOST_STREAMS):
            if (at := data.find(b"stream", at + 1)) < 0:
                return plain
            if data[max(0, at - 3) : at] != b"end":
                mark, is_plain = _stream(data, at)
                plain[mark] = plain.get(mark, True) and is_plain
    return {}


def _stream(data: mmap.mmap, at: int) -> tuple[bytes, bool]:
    """The mark of the stream whose keyword is `at`, and whether it is a plain picture."""
    begin = data.rfind(b"obj", max(0, at - _LONGEST_DICTIONARY), at)
    start = at + len(b"stream")
    start += 2 if data[start : start + 2] == b"\r\n" else 1
    is_plain = begin >= 0 and _PLAIN.fullmatch(data[begin + 3 : at]) is not None
    return _mark(data, start), is_plain


def _mark(data: bytes | mmap.mmap, start: int) -> bytes:
    further = start + _MARK_AT
    return data[start : start + _MARK_BYTES] + data[further : further + _MARK_BYTES]
