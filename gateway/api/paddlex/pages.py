"""Pages as PaddleX's API writes them, `prunedResult` (`paddlex` 3.7.2, `pipelines/paddleocr_vl/result.py`).

What has no place there: a block that could not be read, or not to its end, has a member `block_error`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.assemble import IGNORED, Style, block_markdown
from gateway.document import CLASSES, BBox, Block, Options, PageResult, Polygon, Region, Task

UNORDERED = IGNORED - {"number"} | {"figure_title", "vision_footnote", "image", "chart", "table"}
"""Labels without a place in the reading order, whatever the Markdown leaves out."""

OUTLINING = "PP-DocLayoutV3"
"""The layout model that gives outlines."""


@dataclass(frozen=True, slots=True)
class Writing:
    """How a page's blocks are written: `ignored` has the labels that the Markdown leaves out, in the caller's order;
    `formatted`: contents stand as in the Markdown; `outlined`: every block has an outline."""

    style: Style
    ignored: tuple[str, ...]
    formatted: bool = False
    outlined: bool = False


def pruned_result(page: PageResult, options: Options, writing: Writing) -> dict[str, Any]:
    """A page that was just read."""
    result: dict[str, Any] = {
        "page_count": None,
        "width": page.width,
        "height": page.height,
        "model_settings": {
            "use_doc_preprocessor": page.preparation is not None,
            "use_layout_detection": options.layout,
            "use_chart_recognition": options.charts or (not options.layout and options.task is Task.CHART),
            "use_seal_recognition": options.seals or (not options.layout and options.task is Task.SEAL),
            "use_ocr_for_image_block": options.pictures,
            "format_block_content": writing.formatted,
            "merge_layout_blocks": options.merge,
            "markdown_ignore_labels": writing.ignored,
            "return_layout_polygon_points": options.detection.shape != "rect",
        },
        "parsing_res_list": parsing_res_list(page.blocks, page.width, writing),
    }
    spots = [spot for block in page.blocks for spot in block.spots]
    if any(block.label == Task.SPOTTING for block in page.blocks):
        result["spotting_res"] = {
            "rec_polys": [spot.points for spot in spots],
            "rec_texts": [spot.text for spot in spots],
        }
    if page.preparation is not None:
        angle = page.preparation.angle
        result["doc_preprocessor_res"] = {
            "model_settings": {
                "use_doc_orientation_classify": angle is not None,
                "use_doc_unwarping": page.preparation.unwarped,
            },
            "angle": -1 if angle is None else angle,
        }
    if options.layout:
        result["layout_det_res"] = {"boxes": list(_boxes(page.regions, writing.outlined))}
    return result


def parsing_res_list(blocks: Sequence[Block], width: int, writing: Writing) -> list[dict[str, Any]]:
    """The blocks of a page `width` pixels wide; the reading order counts from 1."""
    written = []
    unordered = UNORDERED.union(writing.ignored)
    order = 0
    for block in blocks:
        order += block.label not in unordered
        content = block_markdown(replace(block, error=None), width, writing.style) if writing.formatted else None
        one: dict[str, Any] = {
            "block_label": block.label,
            "block_content": block.content if content is None else content,
            "block_bbox": block.bbox,
            "block_id": block.id,
            "block_order": None if block.label in unordered else order,
            "group_id": block.id if block.group is None else block.group,
        }
        if writing.outlined or block.polygon is not None:
            one["block_polygon_points"] = block.polygon or corners(block.bbox)
        if block.error is not None:
            one["block_error"] = {"code": block.error.code, "detail": block.error.detail}
        written.append(one)
    return written


def corners(bbox: BBox) -> Polygon:
    """The outline of an upright rectangle."""
    x0, y0, x1, y1 = bbox
    return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def _boxes(regions: Sequence[Region], outlined: bool) -> Iterator[dict[str, Any]]:
    order = 0
    for region in regions:
        order += region.label not in UNORDERED
        box: dict[str, Any] = {
            "cls_id": CLASSES.index(region.label) if region.label in CLASSES else -1,
            "label": region.label,
            "score": region.score,
            "coordinate": region.bbox,
            "order": None if region.label in UNORDERED else order,
        }
        if outlined:
            box["polygon_points"] = region.polygon or corners(region.bbox)
        yield box
