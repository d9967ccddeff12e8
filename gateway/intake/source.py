"""What a caller sent, before anything is decoded: its kind, its base64, the pages wanted of it."""

from __future__ import annotations

import io
import re

from pybase64 import b64decode

from gateway.document import Kind
from gateway.errors import EmptyDocument, InvalidBase64, InvalidRequest, TooManyPages, Unsupported

HEAD_BYTES = 1024
"""How much of a document `kind_of` looks at: a PDF's header may stand anywhere in it (ISO 32000-1, annex H.3.4.1)."""

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two are BigTIFF
_DIB_HEADER_SIZES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})

_STEP = 1 << 20

_DATA_URL = re.compile(r"data:[^,]{0,255}?;base64,", re.IGNORECASE)
_RANGE = re.compile(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?")


def kind_of(head: bytes) -> Kind:
    """Tell a document's kind from its first `HEAD_BYTES` bytes (fewer only if it has no more).

    Raises `EmptyDocument` for no bytes at all and `Unsupported` where no known signature is found.
    """
    if not head:
        raise EmptyDocument("the document has no bytes")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Kind.PNG
    if head.startswith(b"\xff\xd8\xff"):
        return Kind.JPEG
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Kind.WEBP
    if head.startswith((b"GIF87a", b"GIF89a")):
        return Kind.GIF
    if head.startswith(_TIFF):
        return Kind.TIFF
    if head.startswith(b"BM") and (len(head) < 18 or int.from_bytes(head[14:18], "little") in _DIB_HEADER_SIZES):
        return Kind.BMP
    if b"%PDF-" in head[:HEAD_BYTES]:
        return Kind.PDF
    raise Unsupported("the document is none of PNG, JPEG, WebP, BMP, GIF, TIFF and PDF")


def decode_base64(text: str) -> bytes:
    """Decode base64 or a base64 `data:` URL; blanks are skipped and missing padding is supplied, nothing else is.

    Time is linear in the text, and memory what the result takes. Raises `InvalidBase64`.
    """
    if text[:5].lower() == "data:":
        header = _DATA_URL.match(text)
        if header is None:
            raise InvalidBase64("a data: URL must be base64-encoded (data:<type>;base64,<data>)")
        start = header.end()
    else:
        start = 0
    data, rest, padded = io.BytesIO(), b"", False
    try:
        for at in range(start, len(text), _STEP):  # by pieces: copies of the whole text would add up
            packed = rest + text[at : at + _STEP].encode("ascii").translate(None, b" \t\r\n\f\v")
            if packed and padded:
                raise InvalidBase64("the base64 text is wrongly padded")
            whole = len(packed) // 4 * 4
            data.write(b64decode(packed[:whole], validate=True))
            padded, rest = packed[:whole].endswith(b"="), packed[whole:]
        if b"=" in rest:
            raise InvalidBase64("the base64 text is wrongly padded")
        data.write(b64decode(rest + b"=" * (-len(rest) % 4), validate=True))
    except ValueError as exc:
        raise InvalidBase64("the text is not valid base64") from exc
    return data.getvalue()


def select_pages(expression: str, count: int, limit: int) -> tuple[int, ...]:
    """Resolve `1-3,7` against a document of `count` pages: 1-based numbers in document order, each once; "" is all.

    Raises `InvalidRequest` for what is malformed or out of range and `TooManyPages` for more than `limit` pages.
    The work grows with the expression and with `limit`, never with the numbers written.
    """
    ranges = _ranges(expression, count) if expression.strip() else [(1, count)]
    wanted: list[range] = []
    last = total = 0
    for first, end in sorted(ranges):
        fresh = range(max(first, last + 1), end + 1)
        total += len(fresh)
        wanted.append(fresh)
        last = max(last, end)
    if total > limit:
        raise TooManyPages(f"{total} pages are more than the {limit} that are read of one document")
    return tuple(number for fresh in wanted for number in fresh)


def _ranges(expression: str, count: int) -> list[tuple[int, int]]:
    ranges = []
    for part in expression.split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise InvalidRequest("pages: write page numbers and ranges such as 1-3,7")
        first, end = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= end:
            raise InvalidRequest("pages: numbers start at 1 and a range runs upwards, such as 1-3,7")
        if end > count:
            raise InvalidRequest(f"pages: the document has {count} page{'s'[: count != 1]}, {end} is out of range")
        ranges.append((first, end))
    return ranges
