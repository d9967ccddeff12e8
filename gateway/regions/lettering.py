"""Text drawn on pictures for people to look at, in Latin, Cyrillic and Chinese: the font comes with the package."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gateway.document import Pixels, Spot

Font = ImageFont.FreeTypeFont

FONT = Path(__file__).with_name("wqy-microhei.ttf")
"""A part of WenQuanYi Micro Hei; its licence is beside it."""

_FILLED = 0.8
"""How much of a line's height its letters take, as in PaddleX's picture."""

_SMALLEST = 4.0
_UPRIGHT = 2
"""A line this many times as tall as wide is written downwards."""


def font_of(size: float) -> Font:
    """The font with letters `size` pixels high."""
    return ImageFont.truetype(FONT, size, layout_engine=ImageFont.Layout.BASIC)


def written(spots: Sequence[tuple[Spot, str]], width: int, height: int) -> Pixels:
    """A white page with every line's text where the line was found, framed in the colour that comes with it."""
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for spot, colour in spots:
        draw.polygon(spot.points, outline=colour)
        _write(sheet, spot)
    return np.asarray(sheet)


def _write(sheet: Image.Image, spot: Spot) -> None:
    """The text between the four corners, turned as they are; nothing where they enclose no space, or more than a page:
    a model may make up any corners."""
    left_top, right_top, _, left_bottom = spot.points
    length, thickness = math.dist(left_top, right_top), math.dist(left_top, left_bottom)
    text = " ".join(spot.text.split())
    if not text or min(length, thickness) < 1 or max(length, thickness) > math.hypot(*sheet.size) + 1:
        return
    if thickness > _UPRIGHT * length and len(text) > 1:
        text = "\n".join(text)
    ink = _ink(text, math.ceil(length), math.ceil(thickness))
    angle = math.degrees(math.atan2(right_top[1] - left_top[1], right_top[0] - left_top[0]))
    ink = ink.rotate(-angle, Image.Resampling.BILINEAR, expand=True)
    middle_x, middle_y = (sum(side) / len(spot.points) for side in zip(*spot.points, strict=True))
    sheet.paste("black", (round(middle_x - ink.width / 2), round(middle_y - ink.height / 2)), ink)


def _ink(text: str, width: int, height: int) -> Image.Image:
    """Where ink goes, as large as fits: [height, width], 0 to 255."""
    ink = Image.new("L", (width, height))
    draw = ImageDraw.Draw(ink)
    size = _FILLED * height
    left, top, right, bottom = draw.textbbox((0, 0), text, font_of(100), spacing=0)
    size = max(_SMALLEST, min(size, 100 * width / max(1, right - left), 100 * height / max(1, bottom - top)))
    draw.text((width / 2, height / 2), text, 255, font_of(size), anchor="mm", spacing=0, align="center")
    return ink
