"""Formats, orientations and bad documents, through real worker processes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import AsyncIterator, Callable

import anyio
import documents
import numpy as np
import pytest
import pytest_asyncio
from child_processes import children, resident_bytes
from documents import corners, encode
from PIL import Image

from gateway.document import Kind, Page
from gateway.errors import BadDocument, EmptyDocument, EncryptedDocument, GatewayError, TooManyPages, TooManyPixels
from gateway.intake.pages import Decoder

RED, LIME, BLUE, BLACK, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def decoder() -> AsyncIterator[Decoder]:
    async with Decoder(workers=1) as decoder:
        yield decoder


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def read(decoder: Decoder, data: bytes, pages: str = "") -> list[Page]:
    async with decoder.open(data, pages) as document:
        return [await document.page(number) for number in document.numbers]


async def read_one(decoder: Decoder, data: bytes) -> np.ndarray:
    (page,) = await read(decoder, data)
    assert page.number == 1
    assert page.pixels.dtype == np.uint8
    assert not page.pixels.flags.writeable
    return page.pixels


def quarters(pixels: np.ndarray) -> list[tuple[int, ...]]:
    """The colours a quarter in from each corner: top left, top right, bottom left, bottom right."""
    height, width, _ = pixels.shape
    return [tuple(map(int, pixels[y, x])) for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]


def close(seen: list[tuple[int, ...]], wanted: list[tuple[int, int, int]], tolerance: int = 30) -> bool:
    return np.abs(np.array(seen) - np.array(wanted)).max() <= tolerance


COLOUR = {
    "png": encode(corners(), "PNG"),
    "png palette": encode(corners().convert("P"), "PNG"),
    "png interlaced size": encode(corners((61, 43)), "PNG"),
    "jpeg": encode(corners(), "JPEG", quality=95),
    "jpeg progressive": encode(corners(), "JPEG", quality=95, progressive=True),
    "jpeg cmyk": encode(corners().convert("CMYK"), "JPEG", quality=95),
    "webp": encode(corners(), "WEBP"),
    "webp lossless": encode(corners(), "WEBP", lossless=True),
    "bmp": encode(corners(), "BMP"),
    "bmp palette": encode(corners().convert("P"), "BMP"),
    "gif": encode(corners(), "GIF"),
    "tiff": encode(corners(), "TIFF"),
    "tiff big": encode(corners(), "TIFF", big_tiff=True),
    "tiff lzw": encode(corners(), "TIFF", compression="tiff_lzw"),
    "tiff jpeg": encode(corners((160, 120)), "TIFF", compression="jpeg", quality=95),
    "tiff cmyk": encode(corners().convert("CMYK"), "TIFF"),
    "pdf": documents.pdf_of(
        [b"1 0 0 rg 0 20 30 20 re f 0 1 0 rg 30 20 30 20 re f 0 0 1 rg 0 0 30 20 re f 0 g 30 0 30 20 re f"], (60, 40)
    ),
}


@pytest.mark.parametrize("name", COLOUR)
async def test_every_format_ends_as_rgb(decoder: Decoder, name: str) -> None:
    """Formats, palettes, CMYK and compressions all give the same colours in the same places."""
    assert close(quarters(await read_one(decoder, COLOUR[name])), [RED, LIME, BLUE, BLACK])


def sixteen_bit_rgb_png() -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    row = b"\0" + struct.pack(">3H", 0x8000, 0x4000, 0xFFFF) * 8
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(row * 8)) + chunk(b"IEND", b"")


def solid(mode: str, colour: object, form: str, **options: object) -> bytes:
    return encode(Image.new(mode, (8, 8), colour), form, **options)


def palette_with_alpha() -> bytes:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    return encode(image, "PNG", transparency=1)


SOLID = {
    "1-bit": (solid("1", 1, "PNG"), WHITE),
    "1-bit fax": (solid("1", 0, "TIFF", compression="group4"), BLACK),
    "grey": (solid("L", 128, "PNG"), (128, 128, 128)),
    "16-bit grey": (solid("I;16", 0x8000, "PNG"), (128, 128, 128)),
    "16-bit white": (solid("I;16", 0xFFFF, "TIFF"), WHITE),
    "16-bit dark grey": (solid("I;16", 300, "PNG"), (1, 1, 1)),
    "16-bit colour": (sixteen_bit_rgb_png(), (128, 64, 255)),
    "32-bit integers": (solid("I", 65535, "TIFF"), WHITE),
    "floats to 1": (solid("F", 1.0, "TIFF"), WHITE),
    "floats to 255": (solid("F", 128.0, "TIFF"), (128, 128, 128)),
    "alpha": (solid("RGBA", (0, 0, 0, 0), "PNG"), WHITE),
    "half alpha": (solid("RGBA", (255, 0, 0, 128), "PNG"), (255, 127, 127)),
    "half alpha webp": (solid("RGBA", (255, 0, 0, 128), "WEBP", lossless=True), (255, 127, 127)),
    "grey alpha": (solid("LA", (0, 128), "PNG"), (127, 127, 127)),
    "palette alpha": (palette_with_alpha(), WHITE),
    "colour key": (solid("RGB", (1, 2, 3), "PNG", transparency=(1, 2, 3)), WHITE),
    "grey colour key": (solid("L", 7, "PNG", transparency=7), WHITE),
    "transparent gif": (encode(Image.new("P", (8, 8), 0), "GIF", transparency=0), WHITE),
}


@pytest.mark.parametrize("name", SOLID)
async def test_depths_are_scaled_and_alpha_is_white(decoder: Decoder, name: str) -> None:
    """Any depth is scaled to 8 bits, not cut to them, and what is transparent shows white."""
    data, colour = SOLID[name]
    pixels = await read_one(decoder, data)
    assert close([tuple(map(int, pixels[4, 4]))], [colour], tolerance=1)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
async def test_exif_orientation_is_applied(decoder: Decoder, form: str, orientation: int) -> None:
    """However a camera stored it, the page comes upright."""
    upright = corners((60, 40))
    stored = {
        1: upright,
        2: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: upright.transpose(Image.Transpose.ROTATE_180),
        4: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: upright.transpose(Image.Transpose.TRANSPOSE),
        6: upright.transpose(Image.Transpose.ROTATE_90),
        7: upright.transpose(Image.Transpose.TRANSVERSE),
        8: upright.transpose(Image.Transpose.ROTATE_270),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = await read_one(decoder, encode(stored, form, exif=exif))
    assert pixels.shape == (40, 60, 3)
    assert close(quarters(pixels), [RED, LIME, BLUE, BLACK], tolerance=60)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
async def test_broken_exif_does_not_matter(decoder: Decoder, form: str) -> None:
    """A sound picture with garbage for EXIF is shown as it is stored."""
    data = encode(corners(), form, exif=b"Exif\0\0no TIFF header")
    assert close(quarters(await read_one(decoder, data)), [RED, LIME, BLUE, BLACK], tolerance=60)


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
async def test_animations_give_their_first_frame(decoder: Decoder, form: str) -> None:
    """An animation is one page."""
    data = encode(corners(), form, save_all=True, append_images=[Image.new("RGB", (60, 40), "white")] * 3)
    assert close(quarters(await read_one(decoder, data)), [RED, LIME, BLUE, BLACK], tolerance=60)


async def test_all_frames_of_a_tiff_are_pages(decoder: Decoder) -> None:
    """Frames of different size, mode and orientation come each as a page, in any order and again."""
    frames = [Image.new("L", (30, 20), 50), corners((90, 60)), Image.new("1", (10, 10), 1)]
    out = io.BytesIO()
    frames[0].save(out, "TIFF", save_all=True, append_images=frames[1:], compression="tiff_lzw")
    async with decoder.open(out.getvalue()) as document:
        assert document.kind is Kind.TIFF
        assert document.numbers == (1, 2, 3)
        pages = {number: await document.page(number) for number in (2, 3, 1, 2, 2)}
    assert [(pages[number].width, pages[number].height) for number in (1, 2, 3)] == [(30, 20), (90, 60), (10, 10)]
    assert quarters(pages[2].pixels) == [RED, LIME, BLUE, BLACK]
    assert pages[1].pixels[0, 0].tolist() == [50, 50, 50]


async def test_a_tiff_of_thousands_of_frames_opens(decoder: Decoder) -> None:
    """Counting frames walks their chain once; a chain that bites its tail ends there."""
    entries = [(256, 3, 1, 4), (257, 3, 1, 4), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    entries += [(277, 3, 1, 1), (278, 3, 1, 4), (279, 4, 1, 16)]
    directory_bytes = 2 + 12 * len(entries) + 4
    count, start = 5000, 24
    data = bytearray(b"II*\0" + struct.pack("<I", start) + bytes(16))
    for index in range(count):
        data += struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
        data += struct.pack("<I", start + (index + 1) % count * directory_bytes)
    (page,) = await read(decoder, bytes(data), "5000")
    assert (page.number, page.pixels.shape) == (5000, (4, 4, 3))
    with pytest.raises(TooManyPages):
        await read(decoder, bytes(data))


async def test_pdf_pages_are_drawn_at_the_resolution(decoder: Decoder) -> None:
    """Pages come at 200 dpi, in order, with their text, and a selection with its own numbers."""
    pages = await read(decoder, documents.pdf(["one", "two", "three"]), "3,2")
    assert [page.number for page in pages] == [2, 3]
    assert [(page.width, page.height) for page in pages] == [documents.A4] * 2
    assert all((page.pixels < 100).any() for page in pages)


async def test_a_document_may_be_drawn_at_another_resolution(decoder: Decoder) -> None:
    """A caller of `open` may want other than the usual dots per inch."""
    async with decoder.open(documents.pdf([""], (300, 400)), dpi=144) as document:
        page = await document.page(1)
    assert (page.width, page.height) == (600, 800)


@pytest.mark.parametrize(
    ("degrees", "wanted"),
    [(90, [BLUE, RED, BLACK, LIME]), (180, [BLACK, BLUE, LIME, RED]), (270, [LIME, BLACK, RED, BLUE])],
)
async def test_pdf_rotation_is_applied(decoder: Decoder, degrees: int, wanted: list[tuple[int, int, int]]) -> None:
    """A page's own /Rotate turns it as viewers do."""
    turned = COLOUR["pdf"].replace(b"/Contents", b"/Rotate %d/Contents" % degrees)
    assert close(quarters(await read_one(decoder, turned)), wanted)


async def test_form_fields_and_annotations_are_drawn(decoder: Decoder) -> None:
    """What a form field holds and what an annotation shows is on the page, as in a viewer."""
    appearance = b"<</Type/XObject/Subtype/Form/BBox[0 0 50 50]/Length 24>>stream\n%b 0 0 50 50 re f\nendstream"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]>>>>",
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Annots[4 0 R 5 0 R]>>",
        b"<</Type/Annot/Subtype/Widget/FT/Tx/T(f)/V(x)/F 4/Rect[0 0 50 50]/AP<</N 6 0 R>>>>",
        b"<</Type/Annot/Subtype/Stamp/F 4/Rect[150 150 200 200]/AP<</N 7 0 R>>>>",
        appearance % b"0 0 1 rg",
        appearance % b"1 0 0 rg",
    ]
    pixels = await read_one(decoder, documents.pdf_from_objects(objects))
    assert close(quarters(pixels), [WHITE, WHITE, WHITE, WHITE])
    assert pixels[20, -20].tolist() == list(RED)
    assert abs(pixels[-20, 20].astype(int) - BLUE).max() < 80  # PDFium tints fields


async def test_a_huge_pdf_page_is_drawn_smaller() -> None:
    """A page over the limit is drawn at a resolution that fits it, down to 72 dpi and no further."""
    async with Decoder(workers=1, max_pixels=200_000) as decoder:
        (page,) = await read(decoder, documents.pdf_of([b""], (300, 500)))
        assert 190_000 < page.width * page.height <= 200_000
        assert page.width / page.height == pytest.approx(300 / 500, abs=0.01)
        with pytest.raises(TooManyPixels, match="72 dpi"):
            await read(decoder, documents.pdf_of([b""], (500, 500)))


def png_that_says(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return documents.png()[:8] + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


@pytest.mark.parametrize(
    "data",
    [
        encode(corners((101, 100)), "PNG"),
        encode(corners((101, 100)), "JPEG"),
        encode(corners((101, 100)), "WEBP"),
        encode(corners((101, 100)), "GIF"),
        encode(corners((101, 100)), "BMP"),
        encode(corners((101, 100)), "TIFF", compression="tiff_lzw"),
        b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xfe\x3f\0\xfe\x3f\0",
        png_that_says(100_000, 100_000) + documents.png()[33:],
    ],
    ids=["png", "jpeg", "webp", "gif", "bmp", "tiff", "webp bomb", "png bomb"],
)
async def test_pictures_over_the_limit_are_refused_by_their_header(data: bytes) -> None:
    """A picture that says it has too many pixels is refused before any is decoded."""
    async with Decoder(workers=1, max_pixels=10_000, memory_bytes=300 << 20) as decoder:
        with pytest.raises(TooManyPixels):
            await read(decoder, data)
        assert (await read(decoder, encode(corners((100, 100)), "PNG")))[0].width == 100


async def test_only_the_frames_asked_for_must_fit() -> None:
    """A frame that is too large does not keep its neighbours from being read."""
    data = encode(corners((200, 200)), "TIFF", save_all=True, append_images=[corners((50, 50))])
    async with Decoder(workers=1, max_pixels=10_000) as decoder:
        assert (await read(decoder, data, "2"))[0].width == 50
        with pytest.raises(TooManyPixels):
            await read(decoder, data, "1")


def damaged_pdf_page() -> bytes:
    return documents.pdf().replace(b"/Kids[4 0 R]", b"/Kids[9 0 R]")


def text_bomb() -> bytes:
    data = documents.png()
    body = b"iCCPx\0\0" + zlib.compress(bytes(64 << 20))
    return data[:33] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + data[33:]


async def test_a_large_colour_profile_is_no_bomb(decoder: Decoder) -> None:
    """Printers' colour profiles of some megabytes are read past."""
    profile = np.random.default_rng(1).bytes(3 << 20)
    assert close(
        quarters(await read_one(decoder, encode(corners(), "PNG", icc_profile=profile))), [RED, LIME, BLUE, BLACK]
    )


BAD: dict[str, tuple[bytes, type[GatewayError]]] = {
    "nothing": (b"", EmptyDocument),
    "pdf without pages": (documents.pdf_of([]), BadDocument),
    "pdf with a lost page": (damaged_pdf_page(), BadDocument),
    "pdf header alone": (b"%PDF-1.7\n", BadDocument),
    "pdf of garbage": (b"%PDF-1.7\n" + b"garbage " * 100 + b"startxref\n9\n%%EOF", BadDocument),
    "pdf with a password": (documents.encrypted_pdf(), EncryptedDocument),
    "signature alone": (b"\x89PNG\r\n\x1a\n", BadDocument),
    "bmp signature alone": (b"BM", BadDocument),
    "garbage after the signature": (b"\xff\xd8\xff" + b"garbage" * 50, BadDocument),
    "tiff without frames": (b"II*\0\0\0\0\0", BadDocument),
    "tiff that points beyond its end": (b"II*\0\xff\xff\xff\x7f", BadDocument),
    "bigtiff that points beyond its end": (b"II+\0\x08\0\0\0" + b"\xff" * 8, BadDocument),
    "compressed profile bomb": (text_bomb(), BadDocument),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_documents_have_their_errors(decoder: Decoder, name: str) -> None:
    """Each kind of bad document is told as what it is, without a word about paths, and the next one is read."""
    data, error = BAD[name]
    with pytest.raises(error) as raised:
        await read(decoder, data)
    assert type(raised.value) is error
    assert "/" not in raised.value.detail
    assert len(await read(decoder, documents.png())) == 1


async def test_a_pdf_with_an_empty_password_opens(decoder: Decoder) -> None:
    """Encryption that any viewer passes without asking is passed here."""
    assert len(await read(decoder, documents.encrypted_pdf(""))) == 1


TEXT = documents.picture("cut me off", (300, 200))
CUTTABLE: dict[str, Callable[[], bytes]] = {
    "png": lambda: encode(TEXT, "PNG"),
    "jpeg": lambda: encode(TEXT, "JPEG"),
    "jpeg progressive": lambda: encode(TEXT, "JPEG", progressive=True),
    "webp": lambda: encode(TEXT, "WEBP"),
    "bmp": lambda: encode(TEXT, "BMP"),
    "gif": lambda: encode(TEXT, "GIF"),
    "tiff": lambda: documents.tiff(["a", "b"]),
    "tiff lzw": lambda: documents.tiff(["a", "b"], compression="tiff_lzw"),
    "tiff fax": lambda: encode(TEXT.convert("1"), "TIFF", compression="group4"),
    "pdf": lambda: documents.pdf(["a", "b", "c"]),
}


@pytest.mark.parametrize("name", CUTTABLE)
async def test_cut_off_documents_are_never_half_shown(decoder: Decoder, name: str) -> None:
    """Wherever a document is cut, it is refused as corrupt, or what was lost was not part of its pages."""
    data = CUTTABLE[name]()
    whole = await read(decoder, data)
    refused = 0
    for tenths in range(1, 20):
        try:
            cut = await read(decoder, data[: max(32, len(data) * tenths // 20)])
        except BadDocument as error:
            assert error.code == "corrupt_document"
            refused += 1
        else:
            assert len(cut) == len(whole)
            assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(cut, whole, strict=True))
    assert refused >= 15


async def test_a_cut_linearized_pdf_is_refused(decoder: Decoder) -> None:
    """A PDF laid out for the web has an end near its beginning; its own length tells that the rest is missing."""
    data = documents.pdf(["a"])
    linearized = data.replace(b"%PDF-1.7\n", b"%%PDF-1.7\n9 0 obj<</Linearized 1/L %d>>endobj\n" % (len(data) * 2))
    with pytest.raises(BadDocument, match="cut off"):
        await read(decoder, linearized)


async def test_what_a_decoder_said_is_kept_for_the_log(decoder: Decoder) -> None:
    """The library's words come along as a note on the error, out of the worker process."""
    with pytest.raises(BadDocument) as raised:
        await read(decoder, documents.png()[:-40])
    assert "truncated" in raised.value.__notes__[0]


async def test_documents_open_at_once_do_not_mix(decoder: Decoder) -> None:
    """One worker serving several documents in turn never answers from the one before."""
    async with decoder.open(documents.pdf(["", ""])) as blank, decoder.open(documents.pdf(["x", "y"])) as written:
        for _ in range(2):
            for number in (1, 2):
                assert (await blank.page(number)).pixels.min() == 255
                assert (await written.page(number)).pixels.min() < 100


async def test_a_page_outlives_its_document(decoder: Decoder) -> None:
    """The pixels stay when document and decoder are gone, and no file stays open for a page that is dropped."""
    async with Decoder(workers=1) as passing:
        (page,) = await read(passing, COLOUR["png"])
    assert quarters(page.pixels) == [RED, LIME, BLUE, BLACK]


@pytest.mark.parametrize(
    "data",
    [encode(corners((6000, 4000)), "TIFF", save_all=True, append_images=[corners()]), documents.png(size=(6000, 4000))],
    ids=["tiff", "png"],
)
async def test_an_idle_worker_holds_no_pixels(data: bytes) -> None:
    """What a large page took (here 96 MB) is given back soon after, also where the document stays open."""
    before = children()
    async with Decoder(workers=1) as decoder, decoder.open(data) as document:
        await document.page(1)
        (worker,) = children() - before
        with anyio.fail_after(10):
            while resident_bytes(worker) >= 80_000_000:  # noqa: ASYNC110
                await anyio.sleep(0.1)
