"""What every layout detector is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from gateway.document import Detection, Pixels, Region

FURNITURE = frozenset(
    {"aside_text", "footer", "footer_image", "footnote", "header", "header_image", "number"},
)
"""Labels outside the reading order: what PaddleX leaves out of a document's Markdown (`markdown_ignore_labels`)."""


class Detector(Protocol):
    """Finds the regions of pages. Its constructor loads the model; one thread owns it and calls it."""

    @property
    def name(self) -> str:
        """What answers show as the layout model."""

    @property
    def max_batch(self) -> int:
        """How many pages are worth giving at once: 1 where a batch takes as long as its pages one by one."""

    def detect(self, pages: Sequence[Pixels]) -> list[tuple[Region, ...]]:
        """For each page its regions in reading order, furniture at its place, boxes clipped to the page.

        Regions may overlap: which of them are read is decided elsewhere. A page is whatever size it is; one that
        cannot be read may fail the whole call, with any exception.
        """


@runtime_checkable
class AdjustableDetector(Detector, Protocol):
    """A detector whose rules a caller may change for a page."""

    def detect_as(self, pages: Sequence[Pixels], detection: Detection) -> list[tuple[Region, ...]]:
        """As `detect`, with the rules that `detection` names."""


def numbered(regions: Iterable[Region]) -> tuple[Region, ...]:
    """The regions, given in reading order, with `order` counted from 0 and None for furniture."""
    counted: list[Region] = []
    order = 0
    for region in regions:
        if region.label in FURNITURE:
            counted.append(replace(region, order=None))
        else:
            counted.append(replace(region, order=order))
            order += 1
    return tuple(counted)
