"""What is read on a page, as which crops, by which task (PaddleX 3.7.2, `get_layout_parsing_results`)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

from gateway.document import BBox, Figure, Planned, Reading, Region, Task
from gateway.regions.overlaps import without_overlaps
from gateway.regions.paragraphs import Paragraph, paragraphs

_PICTURES = frozenset({"image", "header_image", "footer_image"})
_HIDDEN_IN_TABLES = frozenset({"image", "seal"})

_LEGIBLE_FIGURE = 25
"""Pixels; a token painted into a smaller picture could not be read back."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What of a page is read. `pictures`: the text inside pictures too; `merge`: broken paragraphs as one crop."""

    charts: bool = False
    seals: bool = False
    pictures: bool = False
    merge: bool = True

    def reads(self, label: str) -> bool:
        """False for labels that are cropped and not read."""
        if label in _PICTURES:
            return self.pictures
        return {"chart": self.charts, "seal": self.seals}.get(label, True)

    def shows(self, label: str) -> bool:
        """True for labels whose crop belongs to the document."""
        return label in _PICTURES or label == "seal" or (label == "chart" and not self.charts)


def plan(regions: Sequence[Region], rules: Rules) -> tuple[Planned, ...]:
    """The page's blocks in document order, `regions` being in reading order with unordered ones at their place."""
    kept = without_overlaps(regions)
    apart = {region.label for region in kept if region.label == "table" or not rules.reads(region.label)}
    broken = paragraphs(kept, apart) if rules.merge else tuple(Paragraph((index,)) for index in range(len(kept)))
    planned: list[Planned] = []
    for paragraph in broken:
        planned += _planned(tuple(kept[index] for index in paragraph.members), paragraph, len(planned), rules)
    return tuple(_with_figures_hidden(planned))


def plan_whole_page(width: int, height: int, task: Task) -> tuple[Planned, ...]:
    """One block, labelled by the task as PaddleX does without layout detection, for the whole page."""
    region = Region(label=task.value, bbox=(0, 0, width, height), score=1.0, order=0)
    return (Planned(region, group=0, reading=Reading(task, (region,))),)


def _planned(parts: tuple[Region, ...], paragraph: Paragraph, start: int, rules: Rules) -> Iterator[Planned]:
    head = parts[0]
    reading = Reading(_task(head.label), parts, paragraph.aligns) if rules.reads(head.label) else None
    yield Planned(head, group=start, reading=reading, picture=rules.shows(head.label))
    for part in parts[1:]:
        yield Planned(part, group=start)


def _task(label: str) -> Task:
    if "formula" in label and label != "formula_number":
        return Task.FORMULA
    return {"table": Task.TABLE, "chart": Task.CHART, "seal": Task.SEAL}.get(label, Task.OCR)


def _with_figures_hidden(planned: Sequence[Planned]) -> Iterator[Planned]:
    pictures = [(index, item.region) for index, item in enumerate(planned) if item.region.label in _HIDDEN_IN_TABLES]
    tokens = _tokens(len(pictures))
    figures = [Figure(token, index, region.bbox) for token, (index, region) in zip(tokens, pictures, strict=True)]
    for item in planned:
        if item.reading is None or item.reading.task is not Task.TABLE:
            yield item
            continue
        hidden = tuple(figure for figure in figures if _legible(figure.bbox) and _within(figure.bbox, item.region.bbox))
        yield replace(item, reading=replace(item.reading, figures=hidden))


def _tokens(amount: int) -> list[str]:
    """`[F2]` and on, without the digits 0, 1 and 9, which are misread, and shuffled, so that none can be guessed."""
    numbers: list[int] = []
    candidates = count()
    while len(numbers) < amount:
        number = next(candidates)
        if not set(str(number)) & set("019"):
            numbers.append(number)
    random.Random(1024).shuffle(numbers)
    return [f"[F{number}]" for number in numbers]


def _legible(bbox: BBox) -> bool:
    return min(bbox[2] - bbox[0], bbox[3] - bbox[1]) >= _LEGIBLE_FIGURE


def _within(inner: BBox, outer: BBox) -> bool:
    return inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2] and inner[3] <= outer[3]
