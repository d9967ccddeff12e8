"""The page with its regions drawn on it."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from gateway.document import Block, Spot
from gateway.regions import encode, overlay

PAGE = np.full((200, 300, 3), 255, np.uint8)


def block(label: str, order: int | None, **more: object) -> Block:
    return Block(0, label, (50, 60, 250, 160), order, 0.5, "", **more)  # type: ignore[arg-type]


def test_outline_label_and_order_are_drawn() -> None:
    """The edge of the box, a tag above it, a number beside it; the page itself stays as it was."""
    shown = overlay(PAGE, [block("text", 0)])
    assert (PAGE == 255).all() and shown.shape == PAGE.shape
    edge = shown[60:160, 50]
    assert (edge.min(axis=1) < 120).all()
    assert (shown[45:59, 50:90].min(axis=2) < 120).any(), "no tag"
    unordered = overlay(PAGE, [block("text", None)])
    beside = (slice(60, 80), slice(252, 262))
    assert (shown[beside] != 255).any() and (unordered[beside] == 255).all()


def test_labels_have_their_colours() -> None:
    """One label is always drawn in one colour, another in another."""
    colours = [tuple(overlay(PAGE, [block(label, 0)])[159, 100]) for label in ("text", "table", "text")]
    assert colours[0] == colours[2] != colours[1]


def test_outlines_and_edges_of_the_page() -> None:
    """A polygon is drawn as it is; a region at the page's top or right edge keeps its tag on the page."""
    triangle = overlay(PAGE, [block("text", 0, polygon=((50.0, 60.0), (250.0, 60.0), (50.0, 160.0)))])
    assert (triangle[150, 240] == 255).all() and (triangle[61, 240] != 255).any()
    corner = Block(0, "vision_footnote", (290, 0, 300, 10), 0, 0.5, "")
    assert (overlay(PAGE, [corner])[0:12, 200:290] != 255).any()


def test_spotted_lines_are_tinted_numbered_and_written_beside() -> None:
    """Each in its place and colour; the page on the left, the text that was read on the right."""
    corners = ((100.0, 100.0), (200.0, 100.0), (200.0, 120.0), (100.0, 120.0))
    below = tuple((x, y + 30) for x, y in corners)
    plain = overlay(PAGE, [block("spotting", 0)])
    shown = overlay(PAGE, [block("spotting", 0, spots=(Spot("Привет", corners), Spot("你好", below)))])
    assert plain.shape == PAGE.shape and shown.shape == (200, 600, 3)
    left, right = shown[:, :300].astype(int), shown[:, 300:]
    assert len({tuple(plain[115, 190]), tuple(left[115, 190]), tuple(left[145, 190])}) == 3
    assert (left[101:119, 101:112].min(axis=2) < 60).any(), "no number"
    for top in (100, 130):
        assert (right[top + 2 : top + 19, 102:199].max(axis=2) < 80).sum() > 40, "no letters"
    assert (right[:100] == 255).all() and (right[152:] == 255).all()


def test_files_are_no_larger_than_wanted() -> None:
    """PNG and JPEG; the longer side is bounded, the shape of the page kept."""
    for form in ("PNG", "JPEG"):
        image = Image.open(io.BytesIO(encode(PAGE, form, 150)))  # type: ignore[arg-type]
        assert (image.format, image.size) == (form, (150, 100))
    assert Image.open(io.BytesIO(encode(PAGE, "PNG", 1000))).size == (300, 200)
