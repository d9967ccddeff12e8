"""Documents for tests, made in memory: `png("text")`, `pdf(["page one", "page two"])`, `tiff(["a", "b"])` and kin."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

A4 = (1654, 2339)  # at 200 dpi


def picture(text: str = "", size: tuple[int, int] = (400, 200), *, mode: str = "RGB") -> Image.Image:
    """Black `text`, 40 px high, on white."""
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).multiline_text((20, 20), text, fill="black", font=ImageFont.load_default(40))
    return image.convert(mode)


def corners(size: tuple[int, int] = (60, 40)) -> Image.Image:
    """Red top left, green top right, blue bottom left, black bottom right: shows any turn, mirror or channel swap."""
    width, height = size
    image = Image.new("RGB", size, "black")
    image.paste("red", (0, 0, width // 2, height // 2))
    image.paste("lime", (width // 2, 0, width, height // 2))
    image.paste("blue", (0, height // 2, width // 2, height))
    return image


def encode(image: Image.Image, form: str, **options: object) -> bytes:
    """`image` in one of Pillow's formats."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def png(text: str = "", size: tuple[int, int] = (400, 200)) -> bytes:
    return encode(picture(text, size), "PNG")


def jpeg(text: str = "", size: tuple[int, int] = (400, 200)) -> bytes:
    return encode(picture(text, size), "JPEG", quality=95)


def tiff(frames: Sequence[str] = ("",), size: tuple[int, int] = (400, 200), **options: object) -> bytes:
    first, *rest = [picture(text, size) for text in frames]
    return encode(first, "TIFF", save_all=True, append_images=rest, **options)


def pdf(pages: Sequence[str] = ("",), size: tuple[float, float] = (595.276, 841.89), page_entries: str = "") -> bytes:
    """Pages with a real text layer, 20 points high; `page_entries` go into every page's dictionary."""
    contents = []
    for text in pages:
        lines = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)").split("\n")
        shown = " T* ".join(f"({line}) Tj" for line in lines)
        contents.append(f"BT /F1 20 Tf 24 TL 30 {size[1] - 50:g} Td {shown} ET".encode("latin-1"))
    return pdf_of(contents, size, page_entries)


def pdf_of(contents: Sequence[bytes], size: tuple[float, float] = (200, 200), page_entries: str = "") -> bytes:
    """A PDF of raw content streams, one a page; the font /F1 is Helvetica."""
    count = len(contents)
    kids = " ".join(f"{4 + 2 * index} 0 R" for index in range(count))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {count}/Kids[{kids}]>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for index, content in enumerate(contents):
        box = f"/MediaBox[0 0 {size[0]:g} {size[1]:g}]/Resources<</Font<</F1 3 0 R>>>>/Contents {5 + 2 * index} 0 R"
        objects.append(f"<</Type/Page/Parent 2 0 R{box}{page_entries}>>".encode())
        objects.append(b"<</Length %d>>stream\n%b\nendstream" % (len(content), content))
    return pdf_from_objects(objects)


def pdf_from_objects(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """Objects 1, 2, … (1 is the catalogue) with a cross-reference table; `trailer` entries are added."""
    out = io.BytesIO()
    out.write(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%b\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.writelines(b"%010d 00000 n \n" % offset for offset in offsets)
    out.write(b"trailer\n<</Size %d/Root 1 0 R%b>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start))
    return out.getvalue()


def encrypted_pdf(password: str = "secret") -> bytes:
    """One blank page under the standard security handler (revision 2, RC4 of 40 bits); "" opens without asking."""
    identifier = hashlib.md5(b"document").digest()
    permissions = -4
    user_key = _pad(password)
    owner_key = hashlib.md5(_pad("owner")).digest()[:5]
    owner = _rc4(owner_key, user_key)
    seed = user_key + owner + permissions.to_bytes(4, "little", signed=True) + identifier
    user = _rc4(hashlib.md5(seed).digest()[:5], _PADDING)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>",
        f"<</Filter/Standard/V 1/R 2/P {permissions}/O<{owner.hex()}>/U<{user.hex()}>>>".encode(),
    ]
    return pdf_from_objects(objects, f"/Encrypt 4 0 R/ID[<{identifier.hex()}><{identifier.hex()}>]".encode())


_PADDING = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")  # ISO 32000-1, 7.6.3.3


def _pad(password: str) -> bytes:
    return (password.encode("latin-1") + _PADDING)[:32]


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out = bytearray()
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
