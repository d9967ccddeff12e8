"""The doors that bytes of callers come through, and one rule for all: a result, or an error that has a status."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile

import anyio
import documents
from fastapi import Request

from gateway.api.accept import negotiate
from gateway.api.body import read_submission
from gateway.api.middleware import REQUEST_ID
from gateway.api.problems import status_of
from gateway.errors import GatewayError
from gateway.intake import decode
from gateway.intake.addresses import Allowed
from gateway.intake.fetch import _parsed
from gateway.intake.pages import Decoder
from gateway.intake.source import decode_base64, kind_of, select_pages

SAMPLES = Path(__file__).parents[1] / "pages"
REAL = (".png", ".jpg", ".webp", ".tif", ".tiff", ".pdf", ".gif", ".bmp")
CONTENT_TYPES = (
    b"application/json",
    b"multipart/form-data; boundary=B",
    b"multipart/form-data; boundary=B; charset=utf-16",
    b"application/pdf",
    b"image/png",
    b"",
)


def seeds() -> dict[str, bytes]:
    """A sound document of every kind."""
    picture = documents.corners()
    made = {form: documents.encode(picture, form) for form in ("PNG", "JPEG", "WEBP", "BMP", "GIF")}
    made["TIFF"] = documents.tiff(["a", "b"], (60, 40), compression="tiff_lzw")
    made["TIFF, JPEG inside"] = documents.tiff(["a"], (60, 40), compression="jpeg")
    made["PDF"] = documents.pdf(["Hello", "World"], (200, 100))
    made["encrypted PDF"] = documents.encrypted_pdf()
    return made | {
        path.name: path.read_bytes() for path in sorted(SAMPLES.glob("*.*")) if path.stat().st_size < 1 << 20
    }


def mutations(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """`data` broken in ever new places: bits, numbers that are extreme, pieces lost, doubled, and moved."""
    while True:
        broken = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 8))):
            at = chance.randrange(max(1, len(broken) - 8))
            match chance.randrange(6):
                case 0:
                    broken[at] ^= 1 << chance.randrange(8)
                case 1:
                    broken[at : at + 4] = struct.pack(chance.choice("<>") + "I", chance.choice(_EXTREMES))
                case 2:
                    del broken[at : at + chance.randrange(1, 64)]
                case 3:
                    broken[at:at] = broken[chance.randrange(len(broken)) :][: chance.randrange(1, 256)]
                case 4:
                    del broken[chance.randrange(len(broken)) :]
                case 5:
                    broken[at : at + 8] = chance.randbytes(8)
            if len(broken) < 16:
                break
        yield bytes(broken)


_EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 100_000)


async def decoded(decoder: Decoder, data: bytes) -> str:
    """The code of what is wrong with a document, or how many of its first pages were drawn."""
    try:
        async with decoder.open(data) as document:
            for number in document.numbers[:2]:
                page = await document.page(number)
                assert page.pixels.shape == (page.height, page.width, 3)
            return "drawn"
    except GatewayError as error:
        assert 400 <= status_of(error) < 500, error
        return error.code


def drawn(data: bytes) -> str:
    """As `decoded`, but in this very process, and the first page alone."""
    with NamedTemporaryFile(dir="/dev/shm") as file, NamedTemporaryFile(dir="/dev/shm") as page:
        file.write(data)
        file.flush()

        def draw() -> None:
            kind = kind_of(data).value
            if decode.inspect(file.name, kind, 1_000_000):
                decode.render(file.name, kind, 1, 72, 1_000_000, page.name)

        try:
            return _end(draw)
        finally:
            decode._forget()


def submitted(content_type: bytes, body: bytes) -> str:
    """What becomes of a body of `/ocr` before its document is looked at."""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", content_type)]
    request = Request({"type": "http", "method": "POST", "headers": headers, "query_string": b""}, receive)

    async def read() -> str:
        submission = await read_submission(request, 1 << 20)
        return "URL" if isinstance(submission.source, str) else "bytes"

    return _end(lambda: anyio.run(read))


def _end(door: Callable[[], object]) -> str:
    try:
        door()
        return "taken"
    except GatewayError as error:
        assert 400 <= status_of(error) < 500, error
        error.detail.encode("utf-8", "replace")
        return error.code


def told(text: str) -> list[str]:
    """A caller's text at every door that takes text."""
    doors: list[Callable[[], object]] = [
        lambda: negotiate(text),
        lambda: decode_base64(text),
        lambda: decode_base64("data:image/png;base64," + text),
        lambda: select_pages(text, 10, 5),
        lambda: kind_of(text.encode("utf-8", "replace")[:1024]),
        lambda: _parsed(text),
        lambda: _parsed("http://" + text),
        lambda: REQUEST_ID.fullmatch(text),
    ]
    return [_end(door) for door in doors]


def operators(text: str) -> None:
    """An operator's entry of `FETCH_ALLOW_HOSTS` is taken, or refused as a wrong value."""
    try:
        Allowed([text])
    except ValueError:
        return
