"""What is done over a whole document against PaddleX's own functions. Differences are named in docs/parity.md."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.assemble import join_tables, level_titles
from gateway.assemble.html_table import rows
from gateway.document import Block

merge_table = pytest.importorskip("paddlex.inference.pipelines.layout_parsing.merge_table")
title_level = pytest.importorskip("paddlex.inference.pipelines.layout_parsing.title_level")
official = pytest.importorskip("paddlex.inference.pipelines.paddleocr_vl.result")
pytest.importorskip("bs4")

same = settings(max_examples=1000, deadline=None, derandomize=True, database=None)


def block(label: str, content: str, bbox: tuple[int, int, int, int] = (0, 0, 100, 50)) -> Block:
    return Block(0, label, bbox, None, 0.5, content)


def officially(pages: list[list[Block]]) -> list[list[Any]]:
    theirs = [[official.PaddleOCRVLBlock(b.label, b.bbox, b.content) for b in page] for page in pages]
    for number, made in enumerate(b for page in theirs for b in page):
        made.global_block_id = made.global_group_id = number
    return theirs


cells = st.sampled_from(["<td>a</td>", "<td>b</td>", "<td>Ａ １</td>", "<td>A1</td>", '<td colspan="2">c</td>'])
tall = st.sampled_from(['<td rowspan="2">d</td>', "<td>&lt;i&gt;</td>"])
tables = st.lists(
    st.lists(st.one_of(cells, cells, cells, tall), min_size=1, max_size=3).map(lambda row: f"<tr>{''.join(row)}</tr>"),
    min_size=1,
    max_size=4,
).map(lambda rows: f"<table>{''.join(rows)}</table>")
widths = st.sampled_from([100, 100, 109, 110])
table_blocks = st.builds(lambda html, width: block("table", html, (0, 0, width, 50)), tables, widths)
others = st.sampled_from(["header", "number", "footer", "seal", "footnote", "text"]).map(
    lambda label: block(label, "x")
)
table_pages = st.lists(
    st.tuples(st.lists(others, max_size=1), st.lists(table_blocks, max_size=2), st.lists(others, max_size=1)).map(
        lambda parts: [b for part in parts for b in part]
    ),
    max_size=4,
)


@same
@given(table_pages)
def test_tables_over_pages(pages: list[list[Block]]) -> None:
    """The same tables are joined, with the same rows, as in `merge_tables_across_pages`."""
    theirs = merge_table.merge_tables_across_pages(officially(pages))
    ours = join_tables(pages)
    assert [[rows(b.content) for b in page] for page in ours] == [[rows(b.content) for b in page] for page in theirs]
    assert [b.continues for page in ours for b in page] == [
        b.global_block_id != b.global_group_id for page in theirs for b in page
    ]


NUMBERS = [
    "",
    "1",
    "2.",
    "1.1",
    "1.2.3",
    "12)",
    "(3)",
    "（4）",
    "I.",
    "iv)",
    "X",
    "II",
    "A.",
    "b)",
    "A ",
    "2024年",
    "3D",
]
NUMBERS += ["一、", "第二章", "（三）", "十 ", "Abstract", "参考文献："]
WORDS = ["", " ", "Method", " Related work", "引言", "a\nb"]
titles = st.tuples(st.sampled_from(NUMBERS), st.sampled_from(WORDS)).map("".join)


class Exact:
    """k-means where there are as many clusters as sizes: every size is a centre."""

    def __init__(self, n_clusters: int, **_: object) -> None:
        self.n_clusters = n_clusters

    def fit(self, sizes: Any) -> None:
        self.cluster_centers_ = np.unique(sizes).astype(float).reshape(-1, 1)
        assert len(self.cluster_centers_) == self.n_clusters


@same
@given(st.lists(st.lists(st.tuples(titles, st.sampled_from([10, 20, 40])), max_size=5), max_size=3))
def test_title_levels(pages: list[list[tuple[str, int]]]) -> None:
    """Titles of up to four sizes have the levels of `assign_levels_to_parsing_res`."""
    ours = [[block("paragraph_title", text, (0, 0, 300, size)) for text, size in page] for page in pages]
    sklearn, cluster = ModuleType("sklearn"), ModuleType("sklearn.cluster")
    cluster.KMeans = Exact  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "sklearn", sklearn)
        patch.setitem(sys.modules, "sklearn.cluster", cluster)
        theirs = title_level.assign_levels_to_parsing_res(officially(ours))
    assert [[b.level for b in page] for page in level_titles(ours)] == [[b.title_level for b in p] for p in theirs]
