"""Tests of pages that are one picture, through `Pdf`, against PDFium's own drawing."""

from __future__ import annotations

import io
from pathlib import Path

import documents
import numpy as np
import pypdfium2
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gateway.intake.pdf import Pdf
from gateway.intake.scan import Scans

DPI = 144
SIZE = (400, 600)  # pixels of a page of 200 x 300 points
Q = b"q 200 0 0 300 0 0 cm /I Do Q"
HIDDEN = b" BT 3 Tr /F1 20 Tf 20 200 Td (hidden) Tj ET"
STATE = "/ExtGState<</G<</Type/ExtGState%s>>>>"


def scanned(size: tuple[int, int] = SIZE) -> Image.Image:
    """Colours that tell every turn, mirror and swap, and strokes that resampling blurs."""
    image = documents.corners(size).resize((size[0] // 8, size[1] // 8)).resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for row in range(8):
        pen.text((30, 40 + 60 * row), f"Line {row} of a page", fill="white", font=ImageFont.load_default(28))
    return image


def jpeg(image: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=92, **options)
    return out.getvalue()


def image_object(data: bytes, size: tuple[int, int] = SIZE, entries: str = "/ColorSpace/DeviceRGB") -> bytes:
    head = (
        f"<</Type/XObject/Subtype/Image/Width {size[0]}/Height {size[1]}/BitsPerComponent 8/Filter/DCTDecode{entries}"
    )
    return f"{head}/Length {len(data)}>>stream\n".encode() + data + b"\nendstream"


def page(
    picture: bytes,
    content: bytes = Q,
    entries: str = "",
    resources: str = "",
    more: tuple[bytes, ...] = (),
    box: str = "[0 0 200 300]",
) -> bytes:
    """The picture is /I and object 6; `more` objects start at 7."""
    parts = f"/Resources<</Font<</F1 3 0 R>>/XObject<</I 6 0 R/J 7 0 R>>{resources}>>"
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count 1/Kids[4 0 R]>>",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox{box}{parts}/Contents 5 0 R{entries}>>".encode(),
        b"<</Length %d>>stream\n%b\nendstream" % (len(content), content),
        picture,
        *more,
    )
    return documents.pdf_from_objects(objects)


def draw(tmp_path: Path, data: bytes) -> tuple[NDArray[np.int16], NDArray[np.int16], bool]:
    """The page as `Pdf` gives it, as PDFium draws it, and whether it was taken for a scan."""
    path, out = tmp_path / "document.pdf", tmp_path / "pixels"
    path.write_bytes(data)
    out.touch()
    document = Pdf(str(path))
    width, height, start = document.draw(1, DPI, 10**8, str(out))
    document.close()
    given = np.frombuffer(out.read_bytes()[start:], np.uint8).reshape(height, width, 3)
    with pypdfium2.PdfDocument(path) as other:
        other.init_forms()
        drawn = other[0].render(scale=DPI / 72, rev_byteorder=True).to_numpy().copy()
        taken = Scans(str(path)).pixels(other[0], width, height) is not None
    return given.astype(np.int16), drawn.astype(np.int16), taken


RGB = jpeg(scanned())
RGB_OBJECT = image_object(RGB)
ONE_MORE = scanned((401, 599))
MASK = (
    b"<</Type/XObject/Subtype/Image/Width 1/Height 1/BitsPerComponent 8/ColorSpace/DeviceGray/Length 1>>"
    b"stream\n\x40\nendstream"
)


def form(content: bytes) -> bytes:
    return (
        b"<</Subtype/Form/BBox[0 0 150 150]/Resources<</Font<</F1 3 0 R>>/XObject<</I 6 0 R>>>>/Length %d>>"
        b"stream\n%b\nendstream" % (len(content), content)
    )


SCANS = {
    "colour": page(RGB_OBJECT),
    "grey": page(image_object(jpeg(scanned().convert("L")), entries="/ColorSpace/DeviceGray")),
    "no subsampling": page(image_object(jpeg(scanned(), subsampling=0))),
    "an array of filters": page(RGB_OBJECT.replace(b"/Filter/DCTDecode", b"/Filter [ /DCTDecode ]")),
    "idle parameters": page(RGB_OBJECT.replace(b"/Length", b"/DecodeParms<</Predictor 1 /Colors 3>>/Length")),
    "hidden text": page(RGB_OBJECT, Q + HIDDEN),
    "hidden text below": page(RGB_OBJECT, HIDDEN + b" " + Q),
    "hidden text in a form": page(RGB_OBJECT, Q + b" /J Do", more=(form(HIDDEN),)),
    "two matrices": page(RGB_OBJECT, b"q .5 0 0 .5 0 0 cm 400 0 0 600 0 0 cm /I Do Q"),
    "an offset of the box": page(RGB_OBJECT, b"q 200 0 0 300 10 20 cm /I Do Q", box="[10 20 210 320]"),
    "a crop box": page(RGB_OBJECT, b"q 200 0 0 300 10 20 cm /I Do Q", "/CropBox[10 20 210 320]", box="[0 0 500 500]"),
    "a turn of 90": page(RGB_OBJECT, entries="/Rotate 90"),
    "a turn of 180": page(RGB_OBJECT, entries="/Rotate 180"),
    "a turn of 270": page(RGB_OBJECT, entries="/Rotate 270"),
    "a larger unit": page(RGB_OBJECT, entries="/UserUnit 2"),
    "a page a fraction larger": page(RGB_OBJECT, b"q 200.1 0 0 300.1 0 0 cm /I Do Q", box="[0 0 200.1 300.1]"),
    "a picture a pixel off": page(image_object(jpeg(ONE_MORE), ONE_MORE.size)),
    "a turned picture a pixel off": page(image_object(jpeg(ONE_MORE), ONE_MORE.size), entries="/Rotate 90"),
}

CMYK = image_object(jpeg(scanned().convert("CMYK")), entries="/ColorSpace/DeviceCMYK")
OTHERS = {
    "no picture": page(RGB_OBJECT, HIDDEN),
    "text that shows": page(RGB_OBJECT, Q + HIDDEN.replace(b"3 Tr", b"0 Tr")),
    "a line": page(RGB_OBJECT, Q + b" 0 0 m 200 300 l S"),
    "an annotation": page(
        RGB_OBJECT, entries="/Annots[<</Type/Annot/Subtype/Square/Rect[20 20 90 90]/C[1 0 0]/IC[1 0 0]/F 4>>]"
    ),
    "a soft mask": page(RGB_OBJECT.replace(b"/Length", b"/SMask 7 0 R/Length"), more=(MASK,)),
    "a soft mask, written oddly": page(RGB_OBJECT.replace(b"/Length", b"/SM#61sk 7 0 R/Length"), more=(MASK,)),
    "a mask by colour": page(RGB_OBJECT.replace(b"/Length", b"/Mask[200 255 0 60 0 60]/Length")),
    "a mask on the same data elsewhere": page(
        RGB_OBJECT, more=(RGB_OBJECT.replace(b"/Length", b"/SMask 8 0 R/Length"), MASK)
    ),
    "inverted": page(RGB_OBJECT.replace(b"/Length", b"/Decode[1 0 1 0 1 0]/Length")),
    "other colours in the JPEG": page(RGB_OBJECT.replace(b"/Length", b"/DecodeParms<</ColorTransform 0>>/Length")),
    "hidden layer": page(RGB_OBJECT.replace(b"/Length", b"/OC 7 0 R/Length"), more=(b"<</Type/OCG/Name(a)>>",)),
    "CMYK": page(CMYK),
    "grey that is said to be colour": page(image_object(jpeg(scanned().convert("L")))),
    "a default for colours": page(
        RGB_OBJECT, resources="/ColorSpace<</DefaultRGB[/CalRGB<</WhitePoint[1 1 1]/Gamma[3 3 3]>>]>>"
    ),
    "indexed": page(
        image_object(jpeg(scanned().convert("L")), entries=f"/ColorSpace[/Indexed/DeviceRGB 255<{'20c040' * 256}>]")
    ),
    "another size than it says": page(image_object(RGB, (400, 599))),
    "cut short": page(image_object(RGB[: len(RGB) // 2])),
    "upside down": page(RGB_OBJECT, b"q 200 0 0 -300 0 300 cm /I Do Q"),
    "mirrored": page(RGB_OBJECT, b"q -200 0 0 300 200 0 cm /I Do Q"),
    "turned by its matrix": page(RGB_OBJECT, b"q 0 200 -300 0 300 0 cm /I Do Q", box="[0 0 300 200]"),
    "skewed": page(RGB_OBJECT, b"q 200 3 0 300 0 0 cm /I Do Q"),
    "a margin": page(RGB_OBJECT, b"q 198 0 0 300 1 0 cm /I Do Q"),
    "beyond the page": page(RGB_OBJECT, b"q 210 0 0 310 -5 -5 cm /I Do Q"),
    "cropped": page(RGB_OBJECT, entries="/CropBox[0 0 200 250]"),
    "two pictures": page(RGB_OBJECT, Q + b" q 50 0 0 50 0 0 cm /J Do Q", more=(RGB_OBJECT,)),
    "a picture below another": page(RGB_OBJECT, b"q 50 0 0 50 0 0 cm /J Do Q " + Q, more=(RGB_OBJECT,)),
    "a picture in the content": page(
        image_object(b""), b"q 200 0 0 300 0 0 cm BI /W 400 /H 600 /BPC 8 /CS /RGB /F /DCT ID " + RGB + b" EI Q"
    ),
    "a picture without data": page(image_object(b"")),
    "a form": page(RGB_OBJECT, b"/J Do", more=(form(Q),)),
    "text that shows in a form": page(RGB_OBJECT, Q + b" /J Do", more=(form(HIDDEN.replace(b"3 Tr", b"0 Tr")),)),
    "a clip": page(RGB_OBJECT, b"q 20 20 100 100 re W n 200 0 0 300 0 0 cm /I Do Q"),
    "a clip by text": page(RGB_OBJECT, b"q BT 7 Tr /F1 90 Tf 20 90 Td (clip) Tj ET 200 0 0 300 0 0 cm /I Do Q"),
    "half clear": page(RGB_OBJECT, b"/G gs " + Q, resources=STATE % "/ca .5"),
    "a blend": page(RGB_OBJECT, b"/G gs " + Q, resources=STATE % "/BM/Multiply"),
    "a marked layer": page(
        RGB_OBJECT, b"/OC /L BDC " + Q + b" EMC", resources="/Properties<</L 7 0 R>>", more=(b"<</Type/OCG/Name(a)>>",)
    ),
    "300 dpi": page(image_object(jpeg(scanned((833, 1250))), (833, 1250))),
    "100 dpi": page(image_object(jpeg(scanned((278, 417))), (278, 417))),
    "packed without loss": page(
        image_object(scanned().tobytes()).replace(b"/Filter/DCTDecode", b""),
    ),
}


@pytest.mark.parametrize("name", SCANS)
def test_a_scan_is_its_own_pixels(tmp_path: Path, name: str) -> None:
    """A page that is one picture has the size and the look that PDFium gives it."""
    given, drawn, taken = draw(tmp_path, SCANS[name])
    assert taken
    assert given.shape == drawn.shape
    blurred = "off" in name or "fraction" in name
    assert np.abs(given - drawn).mean() < (4 if blurred else 1)
    if blurred:
        assert np.abs(given[-3:] - drawn[-3:]).mean() < 8 and np.abs(given[:, -3:] - drawn[:, -3:]).mean() < 8


@pytest.mark.parametrize("name", OTHERS)
def test_all_else_is_drawn_by_pdfium(tmp_path: Path, name: str) -> None:
    """A page of which the picture is not all, or of which that cannot be told, is drawn as ever."""
    given, drawn, taken = draw(tmp_path, OTHERS[name])
    assert not taken
    assert np.array_equal(given, drawn)


def test_a_scan_is_not_blurred(tmp_path: Path) -> None:
    """The pixels are those of the JPEG where it has the page's size."""
    given, _, taken = draw(tmp_path, SCANS["colour"])
    wanted = np.asarray(Image.open(io.BytesIO(RGB)), np.int16)
    assert taken and np.abs(given - wanted).max() <= 1
