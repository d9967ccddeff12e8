"""Two answers, part by part, and the names of the differences that are known."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

Page = dict[str, Any]

PARTS = {
    "label": "block_label",
    "order": "block_order",
    "box": "block_bbox",
    "content": "block_content",
    "outline": "block_polygon_points",
}


@dataclass
class Tally:
    """Blocks and other parts compared, and how many were equal; `differences` in words."""

    equal: Counter[str] = field(default_factory=Counter)
    total: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)
    resampled: bool = False
    """The page that is compared was turned, which PaddleX does by resampling."""

    def count(self, part: str, theirs: object, ours: object, where: str) -> bool:
        """Whether both say the same; if not, why, as far as that has a name."""
        self.total[part] += 1
        theirs, ours = _whole(theirs), _whole(ours)
        if theirs == ours:
            self.equal[part] += 1
            return True
        reason = named(theirs, ours, KNOWN | RESAMPLED if self.resampled else KNOWN)
        if reason is not None:
            self.known[reason] += 1
        self.differences.append(f"{where}: {part}{f' ({reason})' if reason else ''}\n{_apart(theirs, ours)}")
        return False


def pages(tally: Tally, where: str, theirs: list[Page], ours: list[Page]) -> None:
    """Count the blocks, the Markdown and all the rest of the pages of one answer."""
    tally.count("number of pages", len(theirs), len(ours), where)
    for number, (their, our) in enumerate(zip(theirs, ours, strict=False), 1):
        place = f"{where}, page {number}"
        tally.resampled = _is_turned(their["prunedResult"].get("doc_preprocessor_res"))
        _blocks(tally, place, _taken(their), _taken(our))
        tally.count("Markdown", their["markdown"]["text"], our["markdown"]["text"], place)
        images = [sorted(page["markdown"].get("images") or {}) for page in (their, our)]
        tally.count("names of pictures", *images, place)
        for name in sorted({*their["prunedResult"], *our["prunedResult"]}):
            tally.count(name, their["prunedResult"].get(name), our["prunedResult"].get(name), place)


def _is_turned(preparation: dict[str, Any] | list[dict[str, Any]] | None) -> bool:
    """Of a page, or of several that were concatenated."""
    parts = preparation if isinstance(preparation, list) else [preparation or {}]
    return any(part.get("angle", 0) > 0 for part in parts)


def _taken(page: Page) -> list[dict[str, Any]]:
    return list(page["prunedResult"].pop("parsing_res_list"))


def _blocks(tally: Tally, where: str, theirs: list[dict[str, Any]], ours: list[dict[str, Any]]) -> None:
    """Blocks are paired by label and box, in order; one without a pair is one that differs in all its parts."""
    tally.count("paragraphs", *(_paragraphs(blocks) for blocks in (theirs, ours)), where)
    keys = [[(block["block_label"], *block["block_bbox"]) for block in blocks] for blocks in (theirs, ours)]
    for tag, i, i_end, j, j_end in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if tag != "equal":
            tally.count("block", theirs[i:i_end], ours[j:j_end], where)
            tally.total["block"] += max(i_end - i, j_end - j) - 1
            continue
        for their, our in zip(theirs[i:i_end], ours[j:j_end], strict=True):
            wrong = [part for part, name in PARTS.items() if _whole(their.get(name)) != _whole(our.get(name))]
            pair = ({name: block.get(PARTS[name]) for name in wrong} for block in (their, our))
            tally.count("block", *pair, f"{where}, block {their['block_id']} ({their['block_label']})")


def _paragraphs(blocks: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    """The boxes of texts that are one paragraph."""
    texts = [block for block in blocks if block["block_label"] == "text"]
    groups = {
        block["group_id"]: [b["block_bbox"] for b in texts if b["group_id"] == block["group_id"]] for block in texts
    }
    return sorted(tuple(map(tuple, boxes)) for boxes in groups.values() if len(boxes) > 1)


def _whole(value: Any) -> Any:
    """Outlines without the noise of float32: `547.99994` is pixel 548."""
    if isinstance(value, dict):
        return {name: _whole(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return round(value) if isinstance(value, float) and abs(value - round(value)) < 0.01 else value


def _apart(one: object, other: object, around: int = 60, most: int = 400) -> str:
    """Both, from shortly before where they part."""
    texts = [_text(one), _text(other)]
    start = max(0, next((i for i, pair in enumerate(zip(*texts, strict=False)) if len(set(pair)) > 1), 0) - around)
    return "\n".join(f"  {text[start : start + most]!r}" for text in texts)


def named(theirs: object, ours: object, differences: dict[str, Callable[[str], str]]) -> str | None:
    """The name of a difference that `docs/parity.md` explains."""
    pair = _text(theirs), _text(ours)
    if "nothing placed" in pair[1] and "nothing placed" not in pair[0]:
        return "an answer to spotting without places stays"
    reasons = [name for name, known in differences.items() if any(known(text) != text for text in pair)]
    for name in reasons:
        pair = differences[name](pair[0]), differences[name](pair[1])
        if pair[0] == pair[1]:
            return name
    return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def _alt(text: str) -> str:
    return text.replace('alt="Image""', 'alt="Image"')


def _escaped(text: str) -> str:
    return html.unescape(_alt(text))


def _deep(text: str) -> str:
    return re.sub("^#{7,}", "######", text, flags=re.MULTILINE)


def _furniture(text: str) -> str:
    return re.sub(r'<img src="imgs/img_in_(?:header|footer)_image\S*" alt="Image"[^>]*>', "", text)


def _figures(text: str) -> str:
    return re.sub(r'\[F[0-9]+\]|<img src="imgs/img_in_(?:image|seal)[^>]*>', "[figure]", text)


def _whole_seal(text: str) -> str:
    return re.sub(r"'imgs/img_in_seal_box_0_0_[0-9]+_[0-9]+\.jpg'", "", text)


def _formulas(text: str) -> str:
    return re.sub(r"\s*(\$\$?  .*?  \$\$?|x \+ 1)\s*", " [formula] ", text)


KNOWN = {
    "the tag of a picture in a table": _alt,
    "text read in a picture or a chart is escaped": _escaped,
    "headings deeper than six": _deep,
    "pictures of headers and footers in stored pages": _furniture,
    "a page read as a seal is no picture": _whole_seal,
    "a picture that the overlap filter dropped, in a table": _figures,
}
RESAMPLED = {"the margin of a formula on a page that PaddleX resampled": _formulas}
