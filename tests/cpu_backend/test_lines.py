"""Rows of lines on level and on tilted pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gateway.cpu_backend.lines import Line, rows, tilt, turning, without_slivers

NAMES = [Line.box(0, y, 180, y + 24) for y in (0, 30, 60)]
PRICES = [Line.box(420, y, 480, y + 24) for y in (0, 30, 60)]


@pytest.mark.parametrize("degrees", [-8, -2, 0, 3, 7])
def test_what_stands_in_a_row_is_found_at_any_tilt(degrees: int) -> None:
    """Names on the left meet their prices on the right, from top to bottom."""
    turn = turning(math.radians(degrees), (240, 40))
    lines = [line.moved(turn) for line in (*PRICES, *NAMES)]
    assert rows(lines) == [[lines[3 + index], lines[index]] for index in range(3)]


def test_short_lines_that_seem_tilted_are_still_in_rows() -> None:
    """The corners of a few short lines are off by a pixel or two, which looks like a tilt of the whole."""
    crooked = [line.moved(turning(-0.05, tuple(line.quad.mean(axis=0)))) for line in (*PRICES, *NAMES)]
    assert rows(crooked) == [[crooked[3 + index], crooked[index]] for index in range(3)]


def test_the_tilt_is_that_of_the_long_lines() -> None:
    """A few short lines with odd angles do not turn the picture."""
    turn = turning(0.05, (0, 0))
    short = [Line.box(0, y, 40, y + 20).moved(turning(-0.2, (0, 0))) for y in (300, 330, 360)]
    assert tilt([*(line.moved(turn) for line in NAMES), *short]) == pytest.approx(0.05, abs=0.001)


def test_a_line_is_cut_out_upright() -> None:
    """A tilted bar comes out level, as long and as high as it is; a vertical one lies on its side."""
    picture = np.zeros((200, 200, 3), np.uint8)
    assert Line.box(20, 20, 120, 50).picture(picture).shape == (30, 100, 3)
    assert Line.box(20, 20, 50, 120).picture(picture).shape == (30, 100, 3)


def test_the_edge_of_a_neighbouring_line_is_left_out() -> None:
    """A sliver at the picture's edge goes, a low line inside stays."""
    whole = [Line.box(0, 10, 200, 40), Line.box(0, 45, 200, 75)]
    low, sliver = Line.box(0, 80, 100, 90), Line.box(0, 95, 200, 100)
    assert without_slivers([*whole, low, sliver], 100) == [*whole, low]
