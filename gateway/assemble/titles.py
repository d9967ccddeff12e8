"""How deep headings are, judged over a whole document (PaddleX 3.7.2, `assign_levels_to_parsing_res`).

Three signs vote: what kind of number a heading has, when that kind first came in the document, and how large it is set.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.assemble.sizes import size_ranks
from gateway.document import Block

_NUMBERINGS = (
    ("bracket", re.compile(r"[(（]?\d+(?:\.\d+)*[)）]"), 4),
    ("roman", re.compile(r"[IVX]+(?:[.．)\s]|$)", re.IGNORECASE), 1),
    (
        "han",
        re.compile(r"[第（(]?[一二三四五六七八九十]{1,2}(?:[章节篇卷部条题讲课回）)]|(?![a-zA-Z\u4e00-\u9fa5]))"),
        1,
    ),
    ("letter", re.compile(r"[A-Z][.．)\s]", re.IGNORECASE), 2),
)
_DECIMAL = re.compile(r"\d+(?:\.\d+)*(?![)）])")

_TOP = frozenset(
    re.findall(
        r"\w+",
        "ABSTRACT SUMMARY RESUME INTRODUCTION BACKGROUND RELATEDWORK BACKGROUNDANDRELATEDWORK THEORETICALMODELS DATA "
        "METHOD METHODS METHODOLOGY TOPICANALYSIS RESULT RESULTS DISCUSSION LIMITATIONS CONCLUSION CONCLUSIONS "
        "ACKNOWLEDGMENTS REFERENCE REFERENCES APPENDIX APPENDICES CONTENTS "
        "绪论 引言 研究背景 相关工作 研究方法 实验结果 讨论 结论 致谢 参考文献 附录 目录",
    )
)
"""Headings of the first level whatever their size, without blanks."""


@dataclass(frozen=True, slots=True)
class _Title:
    text: str
    size: int
    numbering: str | None
    depth: int


def level_titles(pages: Sequence[Sequence[Block]]) -> tuple[tuple[Block, ...], ...]:
    """The pages, every `paragraph_title` with its `level` in the document."""
    titles = [_title(block) for page in pages for block in page if block.label == "paragraph_title"]
    levels = iter(_levels(titles))
    return tuple(
        tuple(replace(block, level=next(levels)) if block.label == "paragraph_title" else block for block in page)
        for page in pages
    )


def _title(block: Block) -> _Title:
    x0, y0, x1, y1 = block.bbox
    lines = block.content.strip().count("\n") + 1
    return _Title(block.content, min(x1 - x0, y1 - y0) // lines, *_numbering(block.content.strip()))


def _numbering(text: str) -> tuple[str | None, int]:
    for kind, pattern, depth in _NUMBERINGS:
        if pattern.match(text):
            return kind, depth
    decimal = _DECIMAL.match(text)
    return ("decimal", decimal[0].count(".") + 1) if decimal else (None, 0)


def _levels(titles: Sequence[_Title]) -> list[int]:
    ranks = size_ranks([title.size for title in titles])
    kinds = dict.fromkeys(title.numbering for title in titles if title.numbering)
    since = {kind: place for place, kind in enumerate(kinds, 1)}
    shallowest = next((title.depth for title in titles if title.numbering == "decimal"), 0)
    return [_level(title, ranks[title.size], since, shallowest) for title in titles]


def _level(title: _Title, rank: int, since: dict[str, int], first_depth: int) -> int:
    if title.numbering is None:
        name = title.text.upper().strip().rstrip("：: ").replace(" ", "")
        return 1 if name in _TOP else rank
    place = since[title.numbering] + (title.depth - first_depth if title.numbering == "decimal" else 0)
    level, votes = Counter([title.depth, place, rank]).most_common(1)[0]
    return level if votes > 1 else place
