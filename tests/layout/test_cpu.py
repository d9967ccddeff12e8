"""Regions found without a GPU, with the models the wheels carry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scoring import PAGES

from gateway.document import BBox, Pixels, Region
from gateway.layout.cpu import CpuLayout


def landscape() -> Image.Image:
    picture = Image.new("RGB", (1000, 600), (120, 170, 230))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 400, 1000, 600), fill=(60, 120, 50))
    draw.ellipse((700, 60, 850, 210), fill=(250, 220, 80))
    draw.polygon([(200, 400), (400, 150), (600, 400)], fill=(90, 80, 70))
    return picture


def blotches() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    return Image.fromarray(noise).resize((1000, 600), Image.Resampling.BICUBIC)


def bars() -> Image.Image:
    picture = Image.new("RGB", (1000, 600), "white")
    draw = ImageDraw.Draw(picture)
    draw.line((80, 20, 80, 540, 980, 540), fill="black", width=4)
    for index, height in enumerate((200, 320, 150, 400, 280)):
        draw.rectangle((130 + index * 170, 540 - height, 230 + index * 170, 540), fill=(70, 110, 180), outline="black")
    return picture


@pytest.fixture(scope="module")
def layout() -> Iterator[CpuLayout]:
    yield CpuLayout()


def page(name: str) -> Pixels:
    return np.asarray(Image.open(PAGES / name).convert("RGB"))


def truth(name: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = json.loads((PAGES / name).read_text())
    return blocks


def share(inner: BBox, outer: BBox) -> float:
    """How much of the one box lies in the other."""
    width = min(inner[2], outer[2]) - max(inner[0], outer[0])
    height = min(inner[3], outer[3]) - max(inner[1], outer[1])
    return max(width, 0) * max(height, 0) / ((inner[2] - inner[0]) * (inner[3] - inner[1]))


def test_columns_come_one_after_the_other(layout: CpuLayout) -> None:
    """Title, first column with its heading, second column with its own, caption, table, and what follows it."""
    regions = layout.detect([page("en_a4.png")])[0]
    found = [
        next(region for region in regions if share(tuple(block["bbox"]), region.bbox) > 0.8)
        for block in truth("en_a4.json")
    ]
    assert list(dict.fromkeys(found)) == list(regions)


def test_labels_are_those_of_the_other_models(layout: CpuLayout) -> None:
    """Headings, caption, table and page number are told apart; the number is outside the reading order."""
    regions = layout.detect([page("en_a4.png")])[0]
    assert [region.label for region in regions] == [
        "doc_title", "text", "paragraph_title", "text", "text", "paragraph_title", "text", "text",
        "figure_title", "table", "text", "number",
    ]  # fmt: skip
    assert [region.order for region in regions] == [*range(11), None]


@pytest.mark.parametrize("name", ["en_a4", "ru_a4", "receipt"])
def test_no_text_is_missed(layout: CpuLayout, name: str) -> None:
    """Whatever is on the page lies in a region that is read, and in one alone."""
    regions = layout.detect([page(f"{name}.png")])[0]
    assert {"image", "chart", "seal"}.isdisjoint(region.label for region in regions)
    for block in truth(f"{name}.json"):
        shares = [share(tuple(block["bbox"]), region.bbox) for region in regions]
        assert max(shares) > 0.7, block["text"]
        assert sorted(shares)[-2] < 0.2, block["text"]


def test_a_ruled_table_is_found_to_the_pixel(layout: CpuLayout) -> None:
    """By its lines, on every page that has one."""
    for name in ("en_a4", "ru_a4"):
        box = next(region.bbox for region in layout.detect([page(f"{name}.png")])[0] if region.label == "table")
        wanted = next(block["bbox"] for block in truth(f"{name}.json") if block["label"] == "table")
        assert np.abs(np.subtract(box, wanted)).max() <= 6


@pytest.mark.parametrize("name", ["en_photo.jpg", "ru_photo.jpg", "receipt_photo.jpg"])
def test_photographs_have_outlines_along_the_text(layout: CpuLayout, name: str) -> None:
    """A tilted page gives four corners for each region, and photographed text is no picture."""
    regions = layout.detect([page(name)])[0]
    assert len(regions) >= 7
    assert "image" not in {region.label for region in regions}
    for region in regions:
        assert region.polygon is not None
        xs, ys = zip(*region.polygon, strict=True)
        x0, y0, x1, y1 = region.bbox
        assert max(abs(min(xs) - x0), abs(min(ys) - y0), abs(max(xs) - x1), abs(max(ys) - y1)) <= 1


def test_the_order_on_a_photograph_is_that_on_the_scan(layout: CpuLayout) -> None:
    """The two-column page gives the same regions in the same order, tilted or not."""

    def places(regions: tuple[Region, ...]) -> list[tuple[bool, str]]:
        middle = sum(region.bbox[0] + region.bbox[2] for region in regions) / 2 / len(regions)
        headings = {"paragraph_title": "text"}  # the model tells them from text on the scan only
        return [(region.bbox[0] > middle, headings.get(region.label, region.label)) for region in regions]

    scan, photograph = layout.detect([page("en_a4.png"), page("en_photo.jpg")])
    assert places(photograph) == places(scan)


@pytest.mark.parametrize("picture", [landscape, blotches, bars])
def test_a_picture_on_the_page_is_a_region_of_its_own(layout: CpuLayout, picture: Callable[[], Image.Image]) -> None:
    """What is drawn below paragraphs is an image, not text nor a table, and the text around it stays text."""
    canvas = Image.fromarray(page("en_a4.png"))
    ImageDraw.Draw(canvas).rectangle((100, 1290, 1654, 2200), fill="white")
    canvas.paste(picture(), (300, 1400))
    regions = layout.detect([np.asarray(canvas)])[0]
    image = next(region for region in regions if region.label == "image")
    assert share((400, 1450, 1250, 1900), image.bbox) > 0.9
    assert [region.label for region in regions].count("table") == 1
    assert [region.label for region in regions].count("text") >= 5


def test_a_frame_around_a_page_is_no_table(layout: CpuLayout) -> None:
    """A ruled border holds text, not cells, though there may be a stamp with some in its corner."""
    canvas = Image.fromarray(page("en_a4.png"))
    for box in ((60, 60, 1594, 2279), (1000, 2100, 1594, 2160), (1000, 2160, 1300, 2279), (1300, 2160, 1594, 2279)):
        ImageDraw.Draw(canvas).rectangle(box, outline="black", width=3)
    regions = layout.detect([np.asarray(canvas)])[0]
    assert [region.label for region in regions].count("table") == 1
    assert [region.label for region in regions].count("text") >= 5


@pytest.mark.parametrize("size", [(800, 600), (20, 20), (3000, 8)])
def test_a_blank_page_has_no_regions(layout: CpuLayout, size: tuple[int, int]) -> None:
    """Nothing is made up."""
    assert layout.detect([np.full((size[1], size[0], 3), 255, np.uint8)]) == [()]


def test_boxes_stay_on_the_page(layout: CpuLayout) -> None:
    """Text that runs off a tilted page is cut at its edges."""
    image = Image.new("RGB", (600, 400), "white")
    for y in range(-10, 400, 60):
        ImageDraw.Draw(image).text((-20, y), "Text that runs off the page", "black", ImageFont.load_default(44))
    turn = cv2.getRotationMatrix2D((300, 200), 3, 1)
    tilted = cv2.warpAffine(255 - np.asarray(image), turn, (600, 400))
    regions: tuple[Region, ...] = layout.detect([np.asarray(255 - tilted, np.uint8)])[0]
    assert regions
    for region in regions:
        x0, y0, x1, y1 = region.bbox
        assert 0 <= x0 < x1 <= 600
        assert 0 <= y0 < y1 <= 400
