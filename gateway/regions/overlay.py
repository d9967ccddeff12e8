"""The page with what was found on it, for people to look at."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from gateway.document import Block, Pixels, Spot
from gateway.regions.lettering import Font, font_of, written

_COLOURS = (
    "#d62728",
    "#1f77b4",
    "#2ca02c",
    "#9467bd",
    "#e377c2",
    "#8c564b",
    "#17becf",
    "#bcbd22",
    "#ff7f0e",
    "#3f51b5",
)

_TEXT_SHARE = 0.014
_LINE_SHARE = 0.0015
"""Of the page's longer side."""

_FILL = 0.12
_LINE_FILL = 0.4
"""How much of a region's and of a spotted line's colour lies over the page."""


def overlay(page: Pixels, blocks: Sequence[Block]) -> Pixels:
    """A copy of the page with every block's outline, its label and score, and its place in the reading order.

    Blocks outside the reading order have no number. A label always has the same colour. Where lines were spotted, they
    are tinted and have their number, from 1, as they are listed, and the picture is twice as wide: on its right side
    stands the text of each line in its place.
    """
    longest = max(page.shape[:2])
    font = font_of(max(9.0, _TEXT_SHARE * longest))
    line = max(1, round(_LINE_SHARE * longest))
    clear = Image.fromarray(page)
    tinted = clear.copy()
    tint = ImageDraw.Draw(tinted)
    spots = [(spot, _COLOURS[number % len(_COLOURS)]) for block in blocks for number, spot in enumerate(block.spots)]
    for block in blocks:
        tint.polygon(_outline(block), fill=_colour(block.label))
    shown = Image.blend(clear, tinted, _FILL)
    if spots:
        shown = _with_lines(shown, spots)
    draw = ImageDraw.Draw(shown)
    for block in blocks:
        draw.line([*_outline(block), _outline(block)[0]], fill=_colour(block.label), width=line)
    for block in blocks:
        _tag(draw, block, font, shown.width)
        for number, spot in enumerate(block.spots, 1):
            _number(draw, spot.points[0], str(number), font)
    pixels = np.asarray(shown)
    return np.hstack([pixels, written(spots, shown.width, shown.height)]) if spots else pixels


def encode(pixels: Pixels, form: Literal["PNG", "JPEG"], longest: int | None = None) -> bytes:
    """RGB pixels as a file; scaled down so that no side has more than `longest` pixels."""
    image = Image.fromarray(pixels)
    if longest is not None and max(image.size) > longest:
        scale = longest / max(image.size)
        image = image.resize((max(1, int(image.width * scale)), max(1, int(image.height * scale))))
    file = io.BytesIO()
    if form == "PNG":
        image.save(file, form, compress_level=1)
    else:
        image.save(file, form, quality=95)
    return file.getvalue()


def _tag(draw: ImageDraw.ImageDraw, block: Block, font: Font, width: int) -> None:
    """Label and score above the block's left edge, its order beside the right one; always within the page."""
    colour = _colour(block.label)
    x, y = min(_outline(block), key=lambda point: point[0] + point[1])
    text = f"{block.label} {block.score:.2f}"
    left, top, right, bottom = draw.textbbox((0, 0), text, font)
    high, wide = bottom - top + 4, right - left + 6
    place = max(0, min(x, width - wide)), y - high if y >= high else y
    draw.rectangle((place[0], place[1], place[0] + wide, place[1] + high), fill=colour)
    draw.text((place[0] + 3 - left, place[1] + 2 - top), text, fill="white", font=font)
    if block.order is not None:
        number = str(block.order + 1)
        right_end = min(block.bbox[2] + 2, width - int(draw.textlength(number, font)) - 2)
        _number(draw, (right_end, block.bbox[1]), number, font)


def _with_lines(page: Image.Image, spots: Sequence[tuple[Spot, str]]) -> Image.Image:
    """A copy of the page, every line tinted in its colour."""
    tinted = page.copy()
    tint = ImageDraw.Draw(tinted)
    for spot, colour in spots:
        tint.polygon(spot.points, fill=colour)
    return Image.blend(page, tinted, _LINE_FILL)


def _number(draw: ImageDraw.ImageDraw, place: tuple[float, float], number: str, font: Font) -> None:
    draw.text(place, number, fill="red", font=font, stroke_width=2, stroke_fill="white")


def _outline(block: Block) -> list[tuple[int, int]]:
    if block.polygon is not None:
        return [(round(x), round(y)) for x, y in block.polygon]
    x0, y0, x1, y1 = block.bbox
    return [(x0, y0), (x1 - 1, y0), (x1 - 1, y1 - 1), (x0, y1 - 1)]


def _colour(label: str) -> str:
    return _COLOURS[zlib.crc32(label.encode()) % len(_COLOURS)]
