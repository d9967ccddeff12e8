"""Crops of a page: what the VLM sees of a region, and the pictures that belong to the document."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import simplejpeg
from PIL import Image, ImageDraw, ImageFont

from gateway.document import Align, BBox, Figure, Pixels, Reading, Region, Task
from gateway.regions.polygons import inside

_WHITE = 255
_INK = 200
"""Of 255, in a crop stretched to the full range: a darker pixel is ink."""

_FAINT = 8
"""Of 255; where no channel varies by more, there is nothing that anybody could read."""

_GRID = 16
"""Pixels between those that are looked at first."""

_TILE = 28
"""Pixels; the model looks at whole tiles, and sizes of whole tiles it does not scale again."""

_SMALL_PAGE = 1500
"""Pixels; a page smaller both ways is read at twice its size when single lines are to be found on it."""


def crop(page: Pixels, reading: Reading) -> Pixels:
    """The picture of one reading, RGB, before it is scaled to the model's pixel budget."""
    pixels = _under_each_other([picture(page, part) for part in reading.parts], reading.aligns)
    if reading.task is Task.TABLE and reading.figures:
        return _with_tokens(pixels, reading.parts[0].bbox, reading.figures)
    if reading.task is Task.FORMULA:
        return _without_margin(pixels)
    if reading.task is Task.SPOTTING and max(pixels.shape[:2]) < _SMALL_PAGE:
        return _doubled(pixels)
    return pixels


def picture(page: Pixels, region: Region) -> Pixels:
    """What of the page lies in the region; white outside its outline, where it has one."""
    x0, y0, x1, y1 = region.bbox
    pixels = page[y0:y1, x0:x1]
    if region.polygon is None:
        return pixels
    height, width = pixels.shape[:2]
    mask = inside(region.polygon, (x0, y0, x0 + width, y0 + height))
    return np.where(mask[..., np.newaxis], pixels, np.uint8(_WHITE))


def is_blank(page: Pixels, reading: Reading) -> bool:
    """True where the page is of one colour all over the reading's parts: nobody need be asked what stands there."""
    return all(_is_one_colour(page[y0:y1, x0:x1]) for x0, y0, x1, y1 in (part.bbox for part in reading.parts))


def fitted(pixels: Pixels, most: int) -> Pixels:
    """The crop within the model's budget of `most` pixels, by the model's own rule (`smart_resize`) and filter.

    One within it already stays as it is. A backend may refuse to be told the budget, and the pixels cost on the wire.
    """
    height, width = pixels.shape[:2]
    if round(height / _TILE) * round(width / _TILE) * _TILE**2 <= most:
        return pixels
    scale = math.sqrt(most / (height * width))
    size = [max(1, math.floor(side * scale / _TILE)) * _TILE for side in (width, height)]
    return np.asarray(Image.fromarray(pixels).resize((size[0], size[1]), Image.Resampling.BICUBIC))


def encode_jpeg(pixels: Pixels, quality: int = 90) -> bytes:
    """RGB pixels as a JPEG file.

    Measured on twelve crops of an A4 page at 200 dpi: 12 ms of CPU, 15 with Pillow.
    """
    rows = np.ascontiguousarray(pixels)
    jpeg: bytes = simplejpeg.encode_jpeg(rows, quality, colorspace="RGB", colorsubsampling="420", fastdct=False)
    return jpeg


def _is_one_colour(pixels: Pixels) -> bool:
    return _varies_little(pixels[::_GRID, ::_GRID]) and _varies_little(pixels)


def _varies_little(pixels: Pixels) -> bool:
    return all(int(channel.max()) - int(channel.min()) <= _FAINT for channel in np.moveaxis(pixels, 2, 0))


def _under_each_other(pictures: Sequence[Pixels], aligns: Sequence[Align]) -> Pixels:
    """Each picture lies under the block of all before it, which grows as wide as the widest of them."""
    if len(pictures) == 1:
        return pictures[0]
    stack = pictures[0]
    for below, align in zip(pictures[1:], aligns, strict=True):
        width = max(stack.shape[1], below.shape[1])
        stack = np.concatenate([_widened(stack, width, align), _widened(below, width, align)])
    return stack


def _widened(pixels: Pixels, width: int, align: Align) -> Pixels:
    missing = width - pixels.shape[1]
    before = {"left": 0, "center": missing // 2, "right": missing}[align]
    return np.pad(pixels, ((0, 0), (before, missing - before), (0, 0)), constant_values=_WHITE)


def _with_tokens(table: Pixels, bbox: BBox, figures: Sequence[Figure]) -> Pixels:
    canvas = Image.fromarray(table)
    draw = ImageDraw.Draw(canvas)
    for figure in figures:
        x0, y0 = figure.bbox[0] - bbox[0], figure.bbox[1] - bbox[1]
        x1, y1 = figure.bbox[2] - bbox[0], figure.bbox[3] - bbox[1]
        draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill="white")
        # A token is about 1.6 times as wide as its font is high, and fills the shorter side but a margin.
        font = ImageFont.load_default(size=0.9 * min(x1 - x0, y1 - y0) / (0.4 * len(figure.token)))
        draw.text(((x0 + x1) / 2, (y0 + y1) / 2), figure.token, fill="black", font=font, anchor="mm")
    return np.asarray(canvas)


def _without_margin(pixels: Pixels) -> Pixels:
    """What is left without the light edges around the ink; all of it where hardly anything would be."""
    grey = (pixels.astype(np.uint32) @ np.array([9798, 19235, 3735], np.uint32) + (1 << 14)) >> 15
    darkest, lightest = int(grey.min()), int(grey.max())
    if darkest == lightest:
        return pixels
    levels = np.arange(lightest - darkest + 1) / (lightest - darkest) * 255
    ink = (levels.astype(np.int64) <= _INK)[grey - darkest]
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    trimmed = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return trimmed if min(trimmed.shape[:2]) > 2 else pixels


def _doubled(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    return np.asarray(Image.fromarray(pixels).resize((2 * width, 2 * height), Image.Resampling.LANCZOS))
