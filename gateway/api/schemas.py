"""The shapes of the answers, for `/openapi.json`. What is sent is made in `api.ocr`; a test holds the two together."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class BlockError(Shape):
    code: str
    detail: str


class SpotShape(Shape):
    """A line found by the `spotting` task, with its corners."""

    text: str
    points: list[tuple[float, float]]


class BlockShape(Shape):
    """`group`: the id of the block that has the text of a paragraph broken over several; `notes`: stable words about
    the text, such as `repetition_trimmed`."""

    id: int
    label: str
    bbox: tuple[int, int, int, int]
    polygon: list[tuple[int, int]] | None
    order: int | None
    score: float
    content: str
    error: BlockError | None
    group: int | None
    notes: list[str]
    spots: list[SpotShape]


class PreparationShape(Shape):
    """What was done to the page before it was read: turned counterclockwise by `angle` degrees (null: nobody looked),
    flattened. `width` and `height` are the page's as it came."""

    angle: int | None
    unwarped: bool
    width: int
    height: int


class PageShape(Shape):
    """Coordinates, `width` and `height` are of the page as it was read."""

    page: int
    width: int
    height: int
    preparation: PreparationShape | None
    markdown: str
    blocks: list[BlockShape]
    images: dict[str, str]


class ModelShape(Shape):
    layout: str
    vlm: str


class ResultShape(Shape):
    text: str
    bbox: tuple[int, int, int, int]
    confidence: float
    page: int


class UsageShape(Shape):
    pages: int
    regions: int
    failed_regions: int
    prompt_tokens: int
    completion_tokens: int


class TimingsShape(Shape):
    """Milliseconds. `decode`, `layout`, `recognition` are summed over pages, which overlap; `total` is the clock's."""

    intake: float
    decode: float
    layout: float
    recognition: float
    total: float


class DocumentShape(Shape):
    id: str
    status: Literal["complete", "partial"]
    model: ModelShape
    markdown: str
    pages: list[PageShape]
    results: list[ResultShape]
    usage: UsageShape
    timings_ms: TimingsShape


class ClosingShape(Shape):
    """The last line of an NDJSON answer; `failed` when the document could not be read to its end, with `error`."""

    id: str
    status: Literal["complete", "partial", "failed"]
    usage: UsageShape
    timings_ms: TimingsShape
    error: BlockError | None = None


class Problem(Shape):
    """RFC 9457, with `code` (a stable word), `request_id` and `error` (equal to `detail`)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    error: str


class HealthShape(Shape):
    """`logId`, `errorCode` (0 or 503) and `errorMsg` (`Healthy`, or the status) are for clients of PaddleX's server."""

    status: Literal["starting", "ok", "degraded", "unavailable"]
    logId: str
    errorCode: Literal[0, 503]
    errorMsg: str


class LiveShape(Shape):
    status: Literal["ok"]


class ReadyShape(Shape):
    status: Literal["ready", "starting", "unavailable", "draining", "full"]


class BackendShape(Shape):
    url: str
    status: Literal["ready", "starting", "unreachable", "unhealthy", "hung"]
    model: str | None
    latency_ms: float | None
    checked_at: str | None
    last_ready_at: str | None
    restarted_at: str | None
    detail: str | None = None


class BackendsShape(BackendShape):
    """The best of the backends, and one entry for each."""

    backends: list[BackendShape]
