"""Text drawn in the font that comes with the package."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gateway.document import Pixels, Preparation, Spot
from gateway.regions import prepared
from gateway.regions.lettering import FONT, font_of, written

WORDS = {
    "Russian": "СъешьещёэтихмягкихфранцузскихбулокдавыпейчаюЩЖЫ№«»",
    "Kazakh": "ӘәҒғҚқҢңӨөҰұҮүҺһІі",
    "simplified Chinese": "第一章绪论研究背景与意义有限公司专用章合同编号，。《》",
    "traditional Chinese": "緒論研究背景與意義專用編號",
    "Latin": "Größe façade Łódź €",
}


def glyph(character: str) -> bytes:
    sheet = Image.new("L", (60, 60))
    ImageDraw.Draw(sheet).text((10, 5), character, 255, font_of(32))
    return sheet.tobytes()


@pytest.mark.parametrize("language", WORDS)
def test_every_character_has_a_glyph_of_its_own(language: str) -> None:
    """None is the box for what is missing, none is blank, no two look alike."""
    missing, blank = glyph("\U000f0000"), glyph(" ")
    assert missing != blank
    drawn = {character: glyph(character) for character in set(WORDS[language]) - {" "}}
    assert {missing, blank}.isdisjoint(drawn.values())
    assert len(set(drawn.values())) == len(drawn)


def test_all_of_gb2312_is_there() -> None:
    """6,763 characters, each with ink of its own."""
    codes = [bytes([high, low]) for high in range(0xB0, 0xF8) for low in range(0xA1, 0xFF)]
    characters = "".join(code.decode("gb2312", errors="ignore") for code in codes)
    font = font_of(24)
    shapes = [font.getmask(character) for character in characters]
    drawn = {(shape.size, bytes(shape)) for shape in shapes}
    missing = font.getmask("\U000f0000")
    assert len(characters) == 6763 and (missing.size, bytes(missing)) not in drawn
    assert len(drawn) > 6740, "some pairs differ by less than a pixel at this size"


def test_the_licence_lies_beside_the_font() -> None:
    """Whoever passes the one on passes the other on."""
    assert "Apache License, Version 2.0" in FONT.with_suffix(".txt").read_text()
    assert FONT.stat().st_size < 2_500_000


def line(
    left: float, top: float, length: float, thickness: float, degrees: float = 0
) -> tuple[tuple[float, float], ...]:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = ((0.0, 0.0), (length, 0.0), (length, thickness), (0.0, thickness))
    return tuple((left + x * cos - y * sin, top + x * sin + y * cos) for x, y in corners)


def inked(sheet: Pixels) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of all that is dark."""
    ys, xs = np.nonzero(sheet.max(axis=2) < 100)
    return int(xs.min()), int(ys.min()), int(xs.max()), int(ys.max())


@pytest.mark.parametrize(
    ("corners", "within"),
    [
        (line(50, 50, 200, 30), (50, 50, 250, 80)),
        (line(50, 50, 20, 200), (50, 50, 70, 250)),  # written downwards
        (line(150, 50, 200, 30, 90), (120, 50, 150, 250)),
        (line(250, 80, 200, 30, 180), (50, 50, 250, 80)),
        (line(50, 50, 200, 30, 45), (28, 50, 192, 213)),
    ],
)
def test_text_stands_in_its_line(corners: tuple[tuple[float, float], ...], within: tuple[int, ...]) -> None:
    """As large as fits, turned as the line is."""
    left, top, right, bottom = inked(written([(Spot("Договор 合同", corners), "yellow")], 300, 300))
    assert within[0] <= left and within[1] <= top and right <= within[2] and bottom <= within[3]
    assert max(right - left, bottom - top) > 0.5 * max(within[2] - within[0], within[3] - within[1])


def test_lines_that_a_model_makes_up_are_left_out() -> None:
    """Corners in one place or far off the page, and lines without text; the others are written."""
    wild = [line(0, 0, 0, 0), line(0, 0, 10**9, 10**9), line(-(10.0**12), 10.0**15, 10.0**15, 30)]
    spots = [(Spot("x", corners), "yellow") for corners in wild] + [(Spot(" \n", line(0, 0, 50, 20)), "yellow")]
    assert (written(spots, 300, 200).max(axis=2) > 100).all()
    assert inked(written([*spots, (Spot("x", line(50, 50, 50, 50)), "yellow")], 300, 200))


def test_what_was_done_to_a_page_stands_side_by_side() -> None:
    """The page as it came, turned, and as it was read, each with its name below."""
    given = np.full((200, 400, 3), 255, np.uint8)
    given[:, :40] = (255, 0, 0)
    page = np.full((400, 150, 3), (0, 0, 255), np.uint8)
    sheet = prepared(given, page, Preparation(270, True, 400, 200))
    assert sheet.shape == (425, 400 + 200 + 150, 3)
    assert tuple(sheet[100, 20]) == tuple(sheet[20, 500]) == (255, 0, 0)
    assert tuple(sheet[200, 700]) == (0, 0, 255)
    for left, right in ((0, 400), (400, 600), (600, 750)):
        assert (sheet[400:, left:right] < 100).any(), "no name"
