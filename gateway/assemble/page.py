"""A plan and its answers, to the blocks, the Markdown and the pictures of one page."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.assemble.answers import Content, content
from gateway.assemble.markdown import Style, page_markdown
from gateway.document import BBox, Block, Failure, Figure, Planned, Recognition, Region

_TOKEN = re.compile(r"\[F\d+\]")


@dataclass(frozen=True, slots=True)
class Assembled:
    """One page. `pictures` has the region of every picture by its path; the Markdown names those that it shows."""

    blocks: tuple[Block, ...]
    markdown: str
    pictures: dict[str, Region]


def assemble(
    plan: Sequence[Planned], answers: Mapping[int, Recognition | Failure], page_width: int, style: Style
) -> Assembled:
    """The page, in the order of the plan; `answers` has one for every index of the plan that is read.

    A picture whose token came back inside a table is shown there and is no block of its own. Ids and orders count from
    0 without gaps; later parts of a paragraph keep their blocks, with empty content and the `group` of the first.
    An answer that ran into its token limit keeps what was read, beside the error `truncated`; one that repeated itself
    what was read before, beside the error `repetition`.
    """
    contents = [_content(item, answers[index]) if item.reading else Content("") for index, item in enumerate(plan)]
    placed: set[int] = set()
    for index, item in enumerate(plan):
        if item.reading is not None and item.reading.figures:
            contents[index], found = _with_figures(contents[index], item.reading.figures, plan, contents)
            placed |= {figure for figure in found if not isinstance(answers.get(figure), Failure)}
    blocks = tuple(_blocks(plan, contents, answers, placed))
    pictures = {image_path(item.region.label, item.region.bbox): item.region for item in plan if item.picture}
    return Assembled(blocks, page_markdown(blocks, page_width, style), pictures)


def image_path(label: str, bbox: BBox) -> str:
    """Where a picture's crop is found, as PaddleX names it: `imgs/img_in_image_box_10_20_300_400.jpg`."""
    return f"imgs/img_in_{label}_box_{'_'.join(map(str, bbox))}.jpg"


def _content(item: Planned, answer: Recognition | Failure) -> Content:
    if isinstance(answer, Failure):
        return Content("")
    x0, y0, x1, y1 = item.region.bbox
    return content(item.region.label, answer, x1 - x0, y1 - y0)


def _with_figures(
    table: Content, figures: Sequence[Figure], plan: Sequence[Planned], contents: Sequence[Content]
) -> tuple[Content, set[int]]:
    """The table with its pictures put back, and which of the plan they are."""
    by_token = {figure.token: figure.planned for figure in figures}
    found: set[int] = set()

    def shown(match: re.Match[str]) -> str:
        planned = by_token.get(match[0])
        if planned is None:
            return match[0]
        found.add(planned)
        region, text = plan[planned].region, contents[planned].text
        tag = f'<img src="{html.escape(image_path(region.label, region.bbox))}" alt="Image" />'
        return f"{tag}\n\n{html.escape(text)}\n\n" if text else tag

    return replace(table, text=_TOKEN.sub(shown, table.text)), found


def _blocks(
    plan: Sequence[Planned],
    contents: Sequence[Content],
    answers: Mapping[int, Recognition | Failure],
    placed: set[int],
) -> Iterator[Block]:
    kept = [index for index in range(len(plan)) if index not in placed]
    ids = {index: block for block, index in enumerate(kept)}
    members = Counter(item.group for item in plan)
    orders = 0
    for index in kept:
        item, answer = plan[index], answers.get(index)
        region = item.region
        yield Block(
            id=ids[index],
            label=region.label,
            bbox=region.bbox,
            order=None if region.order is None else orders,
            score=region.score,
            content=contents[index].text,
            polygon=region.polygon,
            error=failure(answer),
            group=ids[item.group] if members[item.group] > 1 else None,
            image=image_path(region.label, region.bbox) if item.picture else None,
            notes=contents[index].notes,
            spots=contents[index].spots,
        )
        orders += region.order is not None


def failure(answer: Recognition | Failure | None) -> Failure | None:
    """What is wrong with an answer; one that is only cut or trimmed keeps its text."""
    if isinstance(answer, Recognition):
        if answer.runaway:
            return Failure("repetition", "The text is cut: the model repeated itself without end.")
        return Failure("truncated", "The text is cut: it ran into the token limit.") if answer.cut else None
    return answer
