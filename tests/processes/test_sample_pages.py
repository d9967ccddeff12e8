"""The supervised service, real in all its parts, reads the sample pages."""

from __future__ import annotations

import re
import sys
from typing import Any

import httpx
import pytest
from living import until
from scoring import PAGES, Grid, Truth, score

pytestmark = pytest.mark.alone

PERCENT_WRONG_AT_MOST = {
    "en_a4.png": 2,
    "receipt.png": 2,
    "en_photo.jpg": 3,
    "receipt_photo.jpg": 3,
    "ru_a4.png": 6,
    "ru_photo.jpg": 15,
}

TABLES = ("en_a4.png", "en_photo.jpg", "ru_a4.png", "ru_photo.jpg")


@pytest.fixture(scope="module")
def answers(start_once) -> dict[str, dict[str, Any]]:
    service = start_once(GENAI_BACKEND="cpu", LAYOUT_DETECTOR="auto", GATEWAY_PYTHON=sys.executable)
    with httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=120, trust_env=False) as client:
        until(lambda: healthy(client), "the service", 100)
        return {name: client.post("/ocr", content=(PAGES / name).read_bytes()).json() for name in PERCENT_WRONG_AT_MOST}


def healthy(client: httpx.Client) -> bool:
    try:
        return client.get("/health").is_success
    except httpx.TransportError:
        return False


def grid(table: str) -> Grid:
    """The cells of a table's HTML, row by row."""
    return [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in table.split("</tr>")[:-1]]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", PERCENT_WRONG_AT_MOST)
def test_a_sample_page_is_read_in_order(answers: dict[str, dict[str, Any]], name: str) -> None:
    """At most the stated share of characters is wrong, columns one after the other; Russian needs no hint."""
    answer = answers[name]
    assert answer["status"] == "complete"
    assert answer["model"] == {"layout": "rapid-layout", "vlm": "rapidocr-tesseract"}
    texts = [line["text"] for line in answer["results"]]
    assert score(Truth.beside(PAGES / name), texts, []).percent <= PERCENT_WRONG_AT_MOST[name], texts


@pytest.mark.parametrize("name", TABLES)
def test_a_ruled_table_is_a_table_with_its_cells(answers: dict[str, dict[str, Any]], name: str) -> None:
    """The grid is that of the page; clean pages have nine cells of ten exact at least, photos seven of ten."""
    truth = Truth.beside(PAGES / name)
    (table,) = [block for page in answers[name]["pages"] for block in page["blocks"] if block["label"] == "table"]
    read = grid(table["content"])
    assert [len(row) for row in read] == [len(row) for row in truth.tables[0]]
    result = score(truth, [], [read])
    assert result.exact >= (0.9 if name.endswith("png") else 0.7) * result.cells, read
