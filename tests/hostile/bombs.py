"""Documents and bodies that are small to send and large to take, and what each is answered."""

from __future__ import annotations

import struct
import zlib
from collections.abc import AsyncIterator
from typing import Any

import documents

PNG = documents.png("Hello")
JSON = {"content-type": "application/json"}
MULTIPART = {"content-type": "multipart/form-data; boundary=B"}
FILE = b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + PNG


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def black_png(width: int, height: int) -> bytes:
    """A whole PNG, a thousandth of its pixels' size."""
    packing = zlib.compressobj(1)
    row = bytes(1 + width * 3)
    packed = b"".join(packing.compress(row) for _ in range(height)) + packing.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG[:8] + _chunk(b"IHDR", head) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def parts(*contents: bytes) -> bytes:
    return b"".join(b"--B\r\n" + content + b"\r\n" for content in contents) + b"--B--\r\n"


async def _unannounced(mebibytes: int) -> AsyncIterator[bytes]:
    for _ in range(mebibytes):
        yield bytes(1 << 20)


def bombs() -> dict[str, tuple[dict[str, Any], int, str]]:
    """By name: a request to `/ocr`, the status and the code of its answer."""
    large, wrong = (413, "body_too_large"), (422, "invalid_request")
    return {
        "a PNG of 30,000 x 30,000": ({"content": black_png(30_000, 30_000)}, 413, "too_many_pixels"),
        "a PDF page as large as a field": (
            {"content": documents.pdf_of([b""], (200_000, 200_000))},
            413,
            "too_many_pixels",
        ),
        "a PDF of 5,000 pages": ({"content": documents.pdf_of([b""] * 5000)}, 413, "too_many_pages"),
        "200 MB announced": ({"content": bytes(200 << 20)}, *large),
        "200 MB unannounced": ({"content": _unannounced(200)}, *large),
        "200 MB of JSON": ({"content": b'{"image":"' + b"A" * (200 << 20) + b'"}', "headers": JSON}, *large),
        "200 MB in a part": ({"content": parts(FILE + bytes(200 << 20)), "headers": MULTIPART}, *large),
        "JSON 100,000 deep": ({"content": b"[" * 100_000, "headers": JSON}, *wrong),
        "JSON objects 100,000 deep": ({"content": b'{"a":' * 100_000, "headers": JSON}, *wrong),
        "100 MB of empty lists": (
            {"content": b'{"image":[' + b"[]," * (100 << 18) + b"[]]}", "headers": JSON},
            *wrong,
        ),
        "60 MB of equal members": ({"content": b"{" + b'"":1,' * (60 << 18) + b'"a":1}', "headers": JSON}, *wrong),
        "a number of 100,000 digits": ({"content": b'{"pages":' + b"1" * 100_000 + b"}", "headers": JSON}, *wrong),
        "10,000 fields": (
            {
                "content": parts(*(b'Content-Disposition: form-data; name="%d"\r\n\r\nx' % i for i in range(10_000))),
                "headers": MULTIPART,
            },
            *wrong,
        ),
        "10,000 files": ({"content": parts(*[FILE] * 10_000), "headers": MULTIPART}, *wrong),
        "a part header without an end": (
            {"content": b"--B\r\nX: " + b"a" * (5 << 20), "headers": MULTIPART},
            *wrong,
        ),
        "part headers without an end": ({"content": b"--B\r\n" + b"X: a\r\n" * 100_000, "headers": MULTIPART}, *wrong),
        "50 MB before the first part": ({"content": b"a" * (50 << 20), "headers": MULTIPART}, *wrong),
        "a boundary of 60,000 letters": (
            {"content": parts(FILE), "headers": {"content-type": "multipart/form-data; boundary=" + "a" * 60_000}},
            *wrong,
        ),
        "a charset that always fails": (
            {"content": parts(FILE), "headers": {"content-type": MULTIPART["content-type"] + "; charset=undefined"}},
            *wrong,
        ),
        "half a surrogate pair in a URL": (
            {"content": b'{"url": "http://127.0.0.1/\\ud800"}', "headers": JSON},
            *wrong,
        ),
        "half a surrogate pair in a name": ({"content": b'{"\\ud800": 1}', "headers": JSON}, *wrong),
        "JSON that is not UTF-8": ({"content": b'{"image": "\xff\xfe"}', "headers": JSON}, *wrong),
    }
