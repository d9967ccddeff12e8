"""What becomes of a page's outcomes: blocks, Markdown, pictures and counts; and of a document's pages together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway import metrics
from gateway.assemble import (
    IGNORED,
    Assembled,
    Style,
    assemble,
    image_path,
    join_tables,
    level_titles,
    page_markdown,
)
from gateway.document import (
    Block,
    Failure,
    Options,
    Page,
    PageResult,
    Pixels,
    Planned,
    Preparation,
    Recognition,
    Region,
    Usage,
    View,
)
from gateway.regions import encode, encode_jpeg, overlay, picture, prepared

Outcome = Recognition | Failure

_OF_THE_READ: Collection[View] = ("page", "overlay")


@dataclass(frozen=True, slots=True)
class Found:
    """What is on a page: the `regions` a detector found, what of them is read, and the outcomes known already."""

    planned: tuple[Planned, ...]
    regions: tuple[Region, ...] = ()
    known: Mapping[int, Outcome] = field(default_factory=dict)


def assembled(
    page: Page,
    found: Found,
    outcomes: Mapping[int, Outcome],
    options: Options,
    timings: dict[str, float],
) -> PageResult:
    """The result of a page whose every planned reading has its outcome."""
    done = assemble(found.planned, outcomes, page.width, style_of(options))
    shown = _shown(done, found.regions, options)
    images = {path: encode_jpeg(picture(page.pixels, region)) for path, region in shown.items()}
    read = [outcome for outcome in outcomes.values() if isinstance(outcome, Recognition)]
    usage = Usage(
        pages=1,
        regions=len(done.blocks),
        failed_regions=sum(block.error is not None for block in done.blocks),
        prompt_tokens=sum(recognition.prompt_tokens for recognition in read),
        completion_tokens=sum(recognition.completion_tokens for recognition in read),
    )
    return PageResult(
        page=page.number,
        width=page.width,
        height=page.height,
        blocks=done.blocks,
        markdown=done.markdown,
        usage=usage,
        images=images,
        timings_ms=timings,
        regions=found.regions,
        views={name: _view(name, page, done.blocks, options) for name in options.views.names if name in _OF_THE_READ},
    )


def before_reading(given: Page, read: Page, preparation: Preparation | None, options: Options) -> dict[View, bytes]:
    """The pictures of `options.views` that show the page as it came."""
    pictures: dict[View, Callable[[], Pixels]] = {"given": lambda: given.pixels}
    if preparation is not None:
        pictures["prepared"] = lambda: prepared(given.pixels, read.pixels, preparation)
    form, longest = options.views.form, options.views.longest
    return {name: encode(draw(), form, longest) for name, draw in pictures.items() if name in options.views.names}


def over_pages(pages: list[PageResult], options: Options) -> list[PageResult]:
    """The pages of a whole document, with what `options` want done over all of them: tables joined, titles levelled."""
    if not (options.join_tables or options.level_titles):
        return pages
    blocks: Sequence[Sequence[Block]] = [page.blocks for page in pages]
    if options.join_tables:
        blocks = join_tables(blocks)
    if options.level_titles:
        blocks = level_titles(blocks)
    style = style_of(options)
    return [
        replace(page, blocks=tuple(changed), markdown=page_markdown(changed, page.width, style))
        for page, changed in zip(pages, blocks, strict=True)
    ]


def style_of(options: Options) -> Style:
    """How the Markdown of a document with these options is written."""
    ignored = IGNORED if options.ignored is None else options.ignored
    return Style(options.pretty, options.formula_numbers, options.charts, options.seals, options.pictures, ignored)


def _shown(done: Assembled, regions: Sequence[Region], options: Options) -> dict[str, Region]:
    """The pictures that are returned, by their paths: with `all`, those too that lost to an overlapping region."""
    if options.images == "all":
        dropped = {image_path(r.label, r.bbox): r for r in regions if r.label in ("image", "seal")}
        return dropped | done.pictures
    wanted = options.images == "inline"
    return {path: region for path, region in done.pictures.items() if wanted and path in done.markdown}


def _view(name: View, page: Page, blocks: Sequence[Block], options: Options) -> bytes:
    pixels = page.pixels if name == "page" else overlay(page.pixels, blocks)
    return encode(pixels, options.views.form, options.views.longest)


def count(result: PageResult) -> None:
    """Put a page into the metrics."""
    metrics.PAGES.labels("complete" if result.complete else "partial").inc()
    for block in result.blocks:
        metrics.REGIONS.labels(metrics.label(block.label), _outcome(block)).inc()


def _outcome(block: Block) -> str:
    if block.error is not None:
        return block.error.code
    if "blank" in block.notes:
        return "blank"
    return "read" if block.content else "empty"
