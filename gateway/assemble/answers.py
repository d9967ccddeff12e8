"""What the VLM answered for one crop, to the content of a block (PaddleX 3.7.2, `_assemble_parsing_results`)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.assemble import otsl
from gateway.assemble.repetition import without_repetition
from gateway.assemble.spotting import spots
from gateway.document import Recognition, Spot

_SHORTEST_REPETITIVE = 50
_SHORTEST_REPETITIVE_TABLE = 5000

_SPECIAL = re.compile(r"<\|[^|<>]*\|>|</?s>")


@dataclass(frozen=True, slots=True)
class Content:
    """A block's content, its `notes` on the text, and the lines found on a page that was read for spotting."""

    text: str
    notes: tuple[str, ...] = ()
    spots: tuple[Spot, ...] = ()


def content(label: str, answer: Recognition, width: int, height: int) -> Content:
    """Plain text, LaTeX between `$`, or HTML for a table. `width` and `height` are the region's.

    The note `repetition_trimmed` says that the answer ran away and was cut, here or while it came; the answer's own
    notes go before it.
    """
    if "blank" in answer.notes:
        return Content("", answer.notes)
    shortest = _SHORTEST_REPETITIVE_TABLE if label == "table" else _SHORTEST_REPETITIVE
    trimmed = without_repetition(answer.text, shortest)
    notes = (*answer.notes, *("repetition_trimmed",) * (answer.runaway or trimmed != answer.text))
    text = _with_dollars(trimmed, label)
    if label == "table":
        return Content(otsl.to_html(otsl.parse(text)), notes)
    if label == "spotting":
        found = spots(text, width, height)
        return Content("\n\n".join(spot.text for spot in found) or _SPECIAL.sub("", text).strip(), notes, found)
    return Content(text, notes)


def _with_dollars(text: str, label: str) -> str:
    r"""`\( \)` as `$ $` and `\[ \]` as `$$ $$`, where there is a pair; other dollars would look like theirs and go."""
    if not any(left in text and right in text for left, right in ((r"\(", r"\)"), (r"\[", r"\]"))):
        return text
    text = text.replace("$", "").replace(r"\(", " $ ").replace(r"\)", " $")
    text = text.replace(r"\[\[", r"\[").replace(r"\]\]", r"\]").replace(r"\[", " $$ ").replace(r"\]", " $$ ")
    return text.replace("$", "") if label == "formula_number" else text
