from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import documents
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from gateway.intake.png import unpacked

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


WHOLE = {
    "colour": documents.encode(Image.fromarray(NOISE[..., :3]), "PNG"),
    "alpha": documents.encode(Image.fromarray(NOISE), "PNG"),
    "grey": documents.encode(Image.fromarray(NOISE[..., 0]), "PNG"),
    "palette": documents.encode(Image.fromarray(NOISE[..., :3]).convert("P"), "PNG"),
    "one bit": documents.encode(Image.fromarray(NOISE[..., 0]).convert("1"), "PNG"),
    "sixteen bits": documents.encode(Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257), "PNG"),
    "transparent colour": documents.encode(Image.fromarray(NOISE[..., :3]), "PNG", transparency=(1, 2, 3)),
    "pieces": in_pieces(documents.encode(Image.fromarray(NOISE[..., :3]), "PNG")),
    "text": with_text(documents.picture("text")),
    "rows longer than a block": documents.encode(Image.new("RGB", (40_000, 3), "red"), "PNG"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_the_picture_is_the_same(name: str, tmp_path: Path) -> None:
    """Every kind of PNG has the same pixels, mode and notes as before, though nothing is packed any more."""
    path = tmp_path / "picture.png"
    path.write_bytes(WHOLE[name])
    file = unpacked(str(path))
    assert file is not None
    with Image.open(path) as before, Image.open(file) as after:
        assert before.tobytes() == after.tobytes()
        assert (before.mode, before.size, before.info) == (after.mode, after.size, after.info)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :]


LEFT = {
    "cut off": WHOLE["colour"][:-3000],
    "without an end": WHOLE["colour"][:-12],
    "changed": flipped(WHOLE["colour"], len(WHOLE["colour"]) - 500),
    "fewer rows": documents.png()[:8]
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 5, 8, 2, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(bytes(16 * 4)))
    + chunk(b"IEND", b""),
    "more rows": documents.png()[:8]
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 5, 8, 2, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(bytes(16 * 6)))
    + chunk(b"IEND", b""),
    "interlaced": documents.png()[:8]
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 1))
    + chunk(b"IDAT", zlib.compress(bytes(4)))
    + chunk(b"IEND", b""),
    "a bomb": documents.png()[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 10**5, 10**5, 8, 2, 0, 0, 0)),
    "no header": documents.png()[:8] + chunk(b"IEND", b""),
    "unheard-of colours": documents.png()[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 5, 0, 0, 0)),
    "signature alone": documents.png()[:8],
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_not_sound_is_left_alone(name: str, tmp_path: Path) -> None:
    """Damaged, interlaced and oversized pictures are for Pillow to judge as they are."""
    path = tmp_path / "picture.png"
    path.write_bytes(LEFT[name])
    assert unpacked(str(path)) is None


def test_nothing_is_packed_any_more(tmp_path: Path) -> None:
    """A page that packs well becomes as long as its rows."""
    path = tmp_path / "picture.png"
    path.write_bytes(documents.png(size=(500, 500)))
    file = unpacked(str(path))
    assert isinstance(file, io.BytesIO)
    assert len(file.getvalue()) > 500 * 501
