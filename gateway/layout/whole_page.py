"""The detector that needs nothing: a page is one region."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.document import Pixels, Region


class WholePage:
    """Answers every page with one region labelled text that covers it."""

    name = "whole-page"
    max_batch = 1

    def detect(self, pages: Sequence[Pixels]) -> list[tuple[Region, ...]]:
        """One region for each page."""
        return [(Region("text", (0, 0, page.shape[1], page.shape[0]), score=1.0, order=0),) for page in pages]
