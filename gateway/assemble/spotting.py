"""Lines and their corners, from the location tokens of a spotting answer (PaddleX 3.7.2, `post_process_for_spotting`).

Coordinates are thousandths of the page's width and height: `<|LOC_500|>` is its middle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.document import Spot

_TEXT = re.compile(r"<\|TEXT_START\|>(.*?)<\|TEXT_END\|>", re.DOTALL)
_PLACE = re.compile(r"<\|LOC_BEGIN\|>(.*?)<\|LOC_END\|>", re.DOTALL)
_LOCATION = re.compile(r"<\|LOC_(\d+)\|>")
_CORNERS = 4


def spots(answer: str, width: int, height: int) -> tuple[Spot, ...]:
    """The lines in the order of the answer; a line with fewer than four corners has no place and is not among them."""
    return tuple(_marked(answer, width, height)) or tuple(_bare(answer, width, height))


def _marked(answer: str, width: int, height: int) -> Iterator[Spot]:
    for text, place in zip(_TEXT.findall(answer), _PLACE.findall(answer), strict=False):
        locations = _LOCATION.findall(place)
        if len(locations) >= 2 * _CORNERS:
            yield _spot(text, locations, width, height)


def _bare(answer: str, width: int, height: int) -> Iterator[Spot]:
    """Each text is followed by its eight locations."""
    locations = list(_LOCATION.finditer(answer))
    start = 0
    for first in range(0, len(locations) - 2 * _CORNERS + 1, 2 * _CORNERS):
        group = locations[first : first + 2 * _CORNERS]
        yield _spot(answer[start : group[0].start()], [match[1] for match in group], width, height)
        start = group[-1].end()


def _spot(text: str, locations: list[str], width: int, height: int) -> Spot:
    numbers = [int(location) for location in locations[: 2 * _CORNERS]]
    points = zip(numbers[::2], numbers[1::2], strict=True)
    return Spot(text.strip(), tuple((x / 1000 * width, y / 1000 * height) for x, y in points))
