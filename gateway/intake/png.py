"""PNG with its pixels unpacked beforehand: libdeflate does in 2 ms of a page what takes Pillow 17, row after row.

Only the compression is taken off. Filters, colours, transparency and everything that may be wrong with a file stay
Pillow's. Runs in worker processes.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

import deflate

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type (PNG, 3rd edition, 11.2.1)
_MOST_BYTES = 256 << 20  # of unpacked rows; they are in memory twice for a moment
_BLOCK = 0xFFFF  # bytes a stored block may have (RFC 1951, 3.2.4)


def unpacked(path: str) -> BinaryIO | None:
    """The same PNG with its rows stored, or None for one that is best left as it is: huge, interlaced, or irregular."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        return io.BytesIO(b"".join(_rewritten(data)))
    except (deflate.DeflateError, struct.error, KeyError, ValueError):
        return None


def _rewritten(data: bytes) -> Iterator[bytes | memoryview]:
    chunks = list(_chunks(data))
    (_, header), *_ = chunks
    size = _rows_bytes(header)
    packed = b"".join(body for kind, body in chunks if kind == b"IDAT")
    rows = memoryview(deflate.zlib_decompress(packed, size))  # checks the sum at the end, which is used again below
    if len(rows) != size:
        raise ValueError("there are fewer rows than the header says")
    yield _SIGNATURE
    written = False
    for kind, body in chunks:
        if kind != b"IDAT":
            yield from _chunk(kind, body)
        elif not written:
            written = True
            yield from _stored(rows, packed[-4:])


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of each, with its checksum after the body where that is Pillow's to check."""
    at, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            raise ValueError("cut off")
        yield kind, data[at + 8 : at + 8 + length + (0 if kind == b"IDAT" else 4)]
        at += 12 + length


def _chunk(kind: bytes, body: bytes) -> Iterator[bytes]:
    yield struct.pack(">I4s", len(body) - 4, kind)
    yield body


def _rows_bytes(header: bytes) -> int:
    """Bytes of all rows, each with its filter in front."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", header)
    size: int = height * (1 + (width * depth * _CHANNELS[colour] + 7) // 8)
    if interlaced or not 0 < size <= _MOST_BYTES:
        raise ValueError("left to Pillow")
    return size


def _stored(rows: memoryview, checksum: bytes) -> Iterator[bytes | memoryview]:
    blocks = -(-len(rows) // _BLOCK)
    yield struct.pack(">I4s", 2 + 5 * blocks + len(rows) + 4, b"IDAT") + b"\x78\x01"
    for index in range(blocks):
        block = rows[index * _BLOCK : (index + 1) * _BLOCK]
        yield struct.pack("<BHH", index == blocks - 1, len(block), len(block) ^ 0xFFFF)
        yield block
    yield checksum + bytes(4)  # Pillow does not look at the chunk's own
