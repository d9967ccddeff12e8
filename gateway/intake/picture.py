"""Pictures through Pillow: any mode it reads ends as upright RGB. Runs in worker processes."""

from __future__ import annotations

import os
import struct

from PIL import BmpImagePlugin, GifImagePlugin, Image, JpegImagePlugin, PngImagePlugin, PpmImagePlugin, WebPImagePlugin

from gateway.errors import TooManyPixels
from gateway.intake.rows import write_rows

PLUGINS = (BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, PpmImagePlugin, WebPImagePlugin)
"""Imported by name, so that Pillow need not import all of its own to find them."""

PngImagePlugin.MAX_TEXT_CHUNK = 16 << 20  # colour profiles of printers are megabytes; Pillow allows one

_ORIENTATION = 0x0112
_UPRIGHT = {  # EXIF 2.32, 4.6.4: what the stored rows and columns are, and so what turns them upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Picture:
    """A PNG, JPEG, WebP, BMP or GIF: one page, the first frame of an animation. Nothing stays open between calls."""

    count = 1

    def __init__(self, path: str, kind: str, max_pixels: int) -> None:
        self._path = path
        self._kind = kind
        self._open(max_pixels).close()

    def draw(self, number: int, dpi: int, max_pixels: int, out_path: str) -> tuple[int, int, int]:
        if self._kind == "png" and (drawn := _draw_png(self._path, out_path)) is not None:
            return drawn
        with self._open(max_pixels) as image:
            image.load()
            turn = _UPRIGHT.get(_orientation(image))
            return write_rgb(image if turn is None else image.transpose(turn), out_path)

    def close(self) -> None:
        """Nothing is open."""

    def _open(self, max_pixels: int) -> Image.Image:
        Image.MAX_IMAGE_PIXELS = max_pixels  # for WebP, whose decoder takes its canvas before the size can be asked
        try:
            image = Image.open(self._path, formats=[self._kind])
        except Image.DecompressionBombError as exc:
            raise TooManyPixels(f"the picture has more than the {max_pixels} pixels that are read") from exc
        check_size(image, max_pixels)
        return image


def _draw_png(path: str, out_path: str) -> tuple[int, int, int] | None:
    """As `draw`; None for a PNG that is left to Pillow."""
    from gateway.intake.png import pixels  # brings numpy, which other kinds do without

    if (found := pixels(path)) is None:
        return None
    height, width, channels = found.shape
    if channels != 3:
        return write_rgb(Image.fromarray(found[..., 0] if channels == 1 else found), out_path)
    write_rows(found.data, out_path)
    return width, height, 0


def check_size(image: Image.Image, max_pixels: int) -> None:
    """Raise `TooManyPixels` by what the header says."""
    width, height = image.size
    if width * height > max_pixels:
        raise TooManyPixels(f"a page of {width} x {height} pixels is more than the {max_pixels} pixels that are read")


def write_rgb(image: Image.Image, out_path: str) -> tuple[int, int, int]:
    """Write a loaded picture as binary PPM, a short header and then the rows: of Pillow's ways the cheapest.

    Returns its width and height, and the byte at which the rows start.
    """
    rgb = _as_rgb(image)
    with open(out_path, "r+b") as out:
        rgb.save(out, format="PPM")
        end = os.lseek(out.fileno(), 0, os.SEEK_CUR)  # Pillow writes past the file object
    width, height = rgb.size
    return width, height, end - width * height * 3


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _eight_bits(image).convert("RGB")
    if image.has_transparency_data:
        opaque = Image.new("RGB", image.size, "white")
        clear = image.convert("RGBA")
        opaque.paste(clear, mask=clear)
        return opaque
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale deep grey to 0-255: 16-bit by its type, others by the least usual white that their brightest pixel fits."""
    if image.mode.startswith("I;16"):
        white = 65535.0
        image = image.convert("I")
    else:
        brightest = _extrema(image)[1]
        whites = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
        white = next((white for white in whites if brightest <= white), brightest)
    return image.point(lambda value: value * (255.0 / white) + 0.5).convert("L")


def _extrema(image: Image.Image) -> tuple[float, float]:
    low, high = image.getextrema()
    assert isinstance(low, int | float) and isinstance(high, int | float)
    return low, high


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except (struct.error, KeyError, SyntaxError, TypeError, ValueError, OSError):
        return 1  # broken EXIF beside a sound picture: shown as stored, as viewers do
    return value if isinstance(value, int) else 1
