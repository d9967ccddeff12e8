"""The sample pages, laid out and read on a processor: how much of their text comes out wrong."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from scoring import PAGES, Grid, Truth, score

from gateway.assemble.otsl import parse
from gateway.cpu_backend.reader import Reader
from gateway.document import Task
from gateway.layout.cpu import CpuLayout
from gateway.regions import Rules, crop, encode_jpeg, fitted, plan
from gateway.vlm.prompts import PROMPTS

LIMITS = {
    "en_a4.png": 0.5,
    "en_photo.jpg": 1.0,
    "receipt.png": 1.0,
    "receipt_photo.jpg": 2.0,
    "ru_a4.png": 2.0,
    "ru_photo.jpg": 4.0,
}
"""Percent of the characters of a page."""


@dataclass(frozen=True)
class Parts:
    layout: CpuLayout
    reader: Reader


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    reader = Reader()
    reader.load()
    yield Parts(CpuLayout(), reader)


@pytest.mark.parametrize("name", LIMITS)
def test_a_page_comes_out_as_it_is(parts: Parts, name: str) -> None:
    """Text in reading order within the limit, no hint given; every cell of a ruled table exactly."""
    if name.startswith("ru") and not parts.reader.reads_cyrillic:
        pytest.skip("Tesseract is not installed")
    texts, tables = read(parts, name)
    result = score(Truth.beside(PAGES / name), texts, tables)
    assert result.percent <= LIMITS[name], texts
    assert result.exact == result.cells, tables


def read(parts: Parts, name: str) -> tuple[list[str], list[Grid]]:
    pixels = np.asarray(Image.open(PAGES / name).convert("RGB"))
    texts: list[str] = []
    tables: list[Grid] = []
    for item in plan(parts.layout.detect([pixels])[0], Rules()):
        if item.reading is None:
            continue
        jpeg = encode_jpeg(fitted(crop(pixels, item.reading), PROMPTS[item.reading.task].max_pixels))
        text = parts.reader.read(np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")), item.reading.task)
        if item.reading.task is Task.TABLE:
            tables.append([[cell.text for cell in row] for row in parse(text)])
            texts += (" ".join(row) for row in tables[-1])
        else:
            texts.append(text)
    return texts, tables


def test_what_a_page_is_scored_by() -> None:
    """White space, dashes and quotes do not count; a missing word and a wrong order do."""
    truth = Truth("one two - three", ((("a", "b"),),))
    assert score(truth, ["one  two", "— three"], [[["a", "b"]]]).wrong == 0
    assert score(truth, ["one two -"], []).wrong == 6
    assert score(truth, ["two one - three"], []).wrong > 0
    assert (score(truth, [], [[["a", "x"]]]).exact, score(truth, [], []).cells) == (1, 2)
