"""Results in the shapes of `schemas`, as JSON bytes."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pybase64 import b64encode_as_string

from gateway.api import schemas
from gateway.assemble import document_markdown, flat_results
from gateway.document import Block, PageResult, Usage, View
from gateway.errors import GatewayError

VIEWS: dict[View, str] = {"overlay": "imgs/overlay_page_{}.png", "page": "imgs/page_{}.jpg"}
STAGES = ("decode", "layout", "recognition")


class Clock:
    """Milliseconds of one request, by stage."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._intake = 0.0

    def taken_in(self) -> None:
        """The document's bytes are here."""
        self._intake = self._elapsed()

    def timings(self, pages: Sequence[PageResult]) -> dict[str, float]:
        """Of the stages, the sums over `pages`."""
        stages = {stage: sum(page.timings_ms.get(stage, 0.0) for page in pages) for stage in STAGES}
        timings = {"intake": self._intake, **stages, "total": self._elapsed()}
        return {name: round(ms, 1) for name, ms in timings.items()}

    def _elapsed(self) -> float:
        return (time.monotonic() - self._begun) * 1000


def document(request_id: str, model: dict[str, str], pages: Sequence[PageResult], clock: Clock) -> bytes:
    """The whole answer (`DocumentShape`)."""
    end = closing(request_id, pages, clock)
    body = {
        "id": request_id,
        "status": end["status"],
        "model": model,
        "markdown": document_markdown([one.markdown for one in pages]),
        "pages": [page(one) for one in pages],
        "results": [
            {"text": line.text, "bbox": line.bbox, "confidence": round(line.confidence, 4), "page": line.page}
            for one in pages
            for line in flat_results(one.blocks, one.page)
        ],
        "usage": end["usage"],
        "timings_ms": end["timings_ms"],
    }
    return dump(body)


def page(result: PageResult) -> dict[str, Any]:
    """One page (`PageShape`). A picture to look at stands with the others, by a path of `VIEWS`."""
    views = {VIEWS[name].format(result.page): file for name, file in result.views.items()}
    return {
        "page": result.page,
        "width": result.width,
        "height": result.height,
        "preparation": None if result.preparation is None else asdict(result.preparation),
        "markdown": result.markdown,
        "blocks": [_block(block) for block in result.blocks],
        "images": {path: b64encode_as_string(file) for path, file in (result.images | views).items()},
    }


def closing(
    request_id: str, pages: Sequence[PageResult], clock: Clock, failure: GatewayError | None = None
) -> dict[str, Any]:
    """The last line of a stream (`ClosingShape`); `failure` is what kept the document from its end."""
    usage = sum((result.usage for result in pages), Usage())
    end: dict[str, Any] = {
        "id": request_id,
        "status": "partial" if usage.failed_regions else "complete",
        "usage": {name: getattr(usage, name) for name in schemas.UsageShape.model_fields},
        "timings_ms": clock.timings(pages),
    }
    if failure is not None:
        end |= {"status": "failed", "error": {"code": failure.code, "detail": failure.detail}}
    return end


def dump(value: dict[str, Any]) -> bytes:
    """Compact JSON. Half a surrogate pair, which a model may answer, becomes a question mark."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _block(block: Block) -> dict[str, Any]:
    return {
        "id": block.id,
        "label": block.label,
        "bbox": block.bbox,
        "polygon": None if block.polygon is None else [(round(x), round(y)) for x, y in block.polygon],
        "order": block.order,
        "score": round(block.score, 4),
        "content": block.content,
        "error": {"code": block.error.code, "detail": block.error.detail} if block.error else None,
        "group": block.group,
        "notes": block.notes,
        "spots": [{"text": spot.text, "points": spot.points} for spot in block.spots],
    }
