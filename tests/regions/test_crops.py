"""What the model sees of a region."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image

from gateway.document import BBox, Figure, Pixels, Reading, Region, Task
from gateway.regions import crop, encode_jpeg, fitted, is_blank, picture


def region(bbox: BBox) -> Region:
    return Region("text", bbox, 0.9)


def page(height: int = 100, width: int = 100, colour: int = 0) -> Pixels:
    return np.full((height, width, 3), colour, np.uint8)


def test_a_crop_is_the_region() -> None:
    """One region, untouched."""
    pixels = page()
    pixels[20:40, 10:30] = (1, 2, 3)
    assert np.array_equal(crop(pixels, Reading(Task.OCR, (region((10, 20, 30, 40)),))), pixels[20:40, 10:30])


def test_a_region_over_the_edge_is_cut() -> None:
    """A box beyond the page gives what there is of it, with an outline too."""
    beyond = Region("text", (90, 90, 120, 120), 0.9, polygon=((90, 90), (120, 90), (120, 120), (90, 120)))
    assert picture(page(), region(beyond.bbox)).shape == (10, 10, 3)
    assert picture(page(), beyond).shape == (10, 10, 3)


def test_outside_of_an_outline_is_white() -> None:
    """Neighbours that reach into a slanted region's box are not read with it, and the page stays as it is."""
    pixels = page()
    triangle = Region("text", (0, 0, 50, 50), 0.9, polygon=((0, 0), (50, 0), (0, 50)))
    cut = picture(pixels, triangle)
    assert cut[10, 10].tolist() == [0, 0, 0]
    assert cut[45, 45].tolist() == [255, 255, 255]
    assert not pixels.any()


def test_parts_lie_under_each_other_on_white() -> None:
    """The narrower part is set left, right or in the middle of the wider one."""
    wide, narrow = region((0, 0, 40, 10)), region((0, 20, 20, 30))
    for align, columns in (("left", (0, 20)), ("right", (20, 40)), ("center", (10, 30))):
        joined = crop(page(), Reading(Task.OCR, (wide, narrow), (align,)))
        assert joined.shape == (20, 40, 3)
        dark = np.flatnonzero((joined[15] == 0).all(axis=1))
        assert (dark[0], dark[-1] + 1) == columns


def test_a_token_stands_in_for_a_picture_in_a_table() -> None:
    """The picture is white but for its token; the rest of the table and the page are untouched."""
    pixels = page(colour=200)
    pixels[20:70, 20:70] = (255, 0, 0)
    table = Region("table", (10, 10, 90, 90), 0.9)
    painted = crop(pixels, Reading(Task.TABLE, (table,), figures=(Figure("[F2]", 1, (20, 20, 70, 70)),)))
    inside = painted[10:60, 10:60]
    assert (inside == inside[..., :1]).all(), "no red is left"
    assert (inside < 100).any() and (inside == 255).mean() > 0.5
    assert (painted[:10] == 200).all() and (painted[:, 60:] == 200).all()
    assert pixels[30, 30].tolist() == [255, 0, 0]


def test_a_formula_loses_its_margin() -> None:
    """Only the ink stays; a crop of hardly any ink, or of one colour, stays whole."""
    pixels = page(colour=250)
    pixels[40:50, 30:60] = 10
    whole = Reading(Task.FORMULA, (region((0, 0, 100, 100)),))
    assert crop(pixels, whole).shape == (10, 30, 3)
    pixels[40:50, 32:60] = 250
    assert crop(pixels, whole).shape == (100, 100, 3)
    assert crop(page(colour=7), whole).shape == (100, 100, 3)


def test_a_small_page_is_doubled_for_spotting() -> None:
    """Lines are found better at twice the size; a page of 1500 pixels is large enough."""
    assert crop(page(), Reading(Task.SPOTTING, (region((0, 0, 100, 100)),))).shape == (200, 200, 3)
    tall = Reading(Task.SPOTTING, (region((0, 0, 10, 1500)),))
    assert crop(page(1500, 10), tall).shape == (1500, 10, 3)


def test_jpeg_keeps_the_colours_in_their_order() -> None:
    """RGB goes in and comes out."""
    pixels = page()
    pixels[..., 0] = 255
    opened = Image.open(io.BytesIO(encode_jpeg(pixels)))
    assert opened.format == "JPEG"
    red, green, blue = opened.getpixel((50, 50))
    assert red > 240 and green < 15 and blue < 15


def test_a_crop_over_the_budget_is_scaled_to_whole_tiles() -> None:
    """It stays within the budget, keeps its shape within a tile, and its picture."""
    pixels = page(2339, 1654, 255)
    pixels[:1170] = (200, 30, 30)
    small = fitted(pixels, 1_003_520)
    height, width = small.shape[:2]
    assert height * width <= 1_003_520 < (height + 28) * (width + 28)
    assert height % 28 == width % 28 == 0
    assert math.isclose(height / width, 2339 / 1654, rel_tol=0.04)
    assert small[0, 0].tolist() == [200, 30, 30] and small[-1, -1].tolist() == [255, 255, 255]


def test_a_crop_within_the_budget_stays_as_it_is() -> None:
    """It is never enlarged, nor fitted to tiles."""
    pixels = page(101, 999)
    assert fitted(pixels, 1_003_520) is pixels
    assert fitted(page(28, 56), 28 * 56).shape == (28, 56, 3)


def test_blank_is_what_has_one_colour() -> None:
    """Faint noise and any colour count as blank, a thin line does not, nor is one part enough."""
    pixels = page(colour=250)
    pixels[:50, :, 1] = 120
    pixels[:50:3, ::2] += np.uint8(5)
    above, below = region((0, 0, 100, 50)), region((0, 50, 100, 100))
    assert is_blank(pixels, Reading(Task.OCR, (above,))) and is_blank(pixels, Reading(Task.OCR, (above, below)))
    pixels[77, 10:13] = 200
    assert not is_blank(pixels, Reading(Task.OCR, (below,)))
    assert not is_blank(pixels, Reading(Task.OCR, (above, below)))
    assert not is_blank(pixels, Reading(Task.OCR, (region((0, 40, 100, 60)),)))
