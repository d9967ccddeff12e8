from __future__ import annotations

import struct
import zlib
from pathlib import Path

import documents
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from gateway.intake.png import pixels

NOISE = np.random.default_rng(1).integers(0, 256, (90, 301, 4), np.uint8)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def in_pieces(data: bytes) -> bytes:
    """The same PNG with its rows in chunks of a hundred bytes."""
    start = data.index(b"IDAT") - 4
    length = int.from_bytes(data[start : start + 4])
    rows = data[start + 8 : start + 8 + length]
    pieces = b"".join(chunk(b"IDAT", rows[at : at + 100]) for at in range(0, length, 100))
    return data[:start] + pieces + data[start + 12 + length :]


def with_text(image: Image.Image) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "nobody")
    return documents.encode(image, "PNG", pnginfo=info, dpi=(72, 72))


def png(header: bytes, rows: bytes) -> bytes:
    return documents.png()[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def interlaced() -> bytes:
    """One row of three pixels in three passes: the first, the third, and the one between."""
    rows = b"".join(b"\0" + bytes(rgb) for rgb in ((1, 2, 3), (7, 8, 9), (4, 5, 6)))
    return png(struct.pack(">IIBBBBB", 3, 1, 8, 2, 0, 0, 1), rows)


WHOLE = {
    "colour": documents.encode(Image.fromarray(NOISE[..., :3]), "PNG"),
    "alpha": documents.encode(Image.fromarray(NOISE), "PNG"),
    "grey": documents.encode(Image.fromarray(NOISE[..., 0]), "PNG"),
    "pieces": in_pieces(documents.encode(Image.fromarray(NOISE[..., :3]), "PNG")),
    "text": with_text(documents.picture("text")),
    "flat": documents.encode(Image.new("RGB", (40_000, 3), "red"), "PNG"),
    "interlaced": interlaced(),
    "more rows": png(struct.pack(">IIBBBBB", 5, 5, 8, 2, 0, 0, 0), bytes(16 * 6)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_the_pixels_are_pillows(name: str, tmp_path: Path) -> None:
    """What is decoded here has the values that Pillow finds, in its channels."""
    path = tmp_path / "picture.png"
    path.write_bytes(WHOLE[name])
    found = pixels(str(path))
    assert found is not None
    with Image.open(path) as image:
        assert found.shape == (image.height, image.width, len(image.getbands()))
        assert found.tobytes() == image.tobytes()


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :]


def with_chunk(kind: bytes, body: bytes) -> bytes:
    """A sound picture with one more chunk after its header."""
    data = WHOLE["colour"]
    return data[:33] + chunk(kind, body) + data[33:]


LEFT = {
    "palette": documents.encode(Image.fromarray(NOISE[..., :3]).convert("P"), "PNG"),
    "one bit": documents.encode(Image.fromarray(NOISE[..., 0]).convert("1"), "PNG"),
    "sixteen bits": documents.encode(Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257), "PNG"),
    "transparent colour": documents.encode(Image.fromarray(NOISE[..., :3]), "PNG", transparency=(1, 2, 3)),
    "EXIF": with_chunk(b"eXIf", bytes.fromhex("4d4d002a00000008000101120003000000010006000000000000")),
    "EXIF as text": with_chunk(b"tEXt", b"Raw profile type exif\0\n exif\n 0\n"),
    "XMP": with_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>"),
    "animated": with_chunk(b"acTL", struct.pack(">II", 1, 0)),
    "cut off": WHOLE["colour"][:-3000],
    "without an end": WHOLE["colour"][:-12],
    "changed": flipped(WHOLE["colour"], len(WHOLE["colour"]) - 500),
    "fewer rows": png(struct.pack(">IIBBBBB", 5, 5, 8, 2, 0, 0, 0), bytes(16 * 4)),
    "no header": documents.png()[:8] + chunk(b"IEND", b""),
    "unheard-of colours": documents.png()[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 5, 0, 0, 0)),
    "signature alone": documents.png()[:8],
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_rare_or_not_sound_is_left_alone(name: str, tmp_path: Path) -> None:
    """Other kinds, pictures that may have to be turned, and damaged ones are for Pillow to judge as they are."""
    path = tmp_path / "picture.png"
    path.write_bytes(LEFT[name])
    assert pixels(str(path)) is None
