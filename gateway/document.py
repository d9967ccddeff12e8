"""The words every room shares: what a page, a region and a recognition are.

All coordinates are pixels of the upright page image, origin top left, as `(x0, y0, x1, y1)` with x1 and y1 exclusive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""RGB, shape (height, width, 3), read-only by agreement: stages share one page."""

BBox = tuple[int, int, int, int]
Polygon = tuple[tuple[float, float], ...]
"""Corners; crops and answers take whole pixels of them."""
Align = Literal["left", "center", "right"]
Merge = Literal["large", "small", "union"]
View = Literal["given", "page", "prepared", "overlay"]


class Kind(StrEnum):
    """What a document is, told from its first bytes."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    BMP = "bmp"
    GIF = "gif"
    TIFF = "tiff"
    PDF = "pdf"


class Task(StrEnum):
    """What the VLM is asked to do with one crop (its prompts are in `vlm.prompts`)."""

    OCR = "ocr"
    TABLE = "table"
    FORMULA = "formula"
    CHART = "chart"
    SEAL = "seal"
    SPOTTING = "spotting"


@dataclass(frozen=True, slots=True)
class Page:
    """One decoded page: `number` counts from 1 within the document."""

    number: int
    pixels: Pixels

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])


CLASSES = (
    *("abstract", "algorithm", "aside_text", "chart", "content", "display_formula", "doc_title", "figure_title"),
    *("footer", "footer_image", "footnote", "formula_number", "header", "header_image", "image", "inline_formula"),
    *("number", "paragraph_title", "reference", "reference_content", "seal", "table", "text", "vertical_text"),
    "vision_footnote",
)
"""The classes of PP-DocLayoutV2 and V3, by number."""


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a page that the layout detector found; `order` is None outside the reading order."""

    label: str
    bbox: BBox
    score: float
    order: int | None = None
    polygon: Polygon | None = None


@dataclass(frozen=True, slots=True)
class Recognition:
    """What the VLM answered for one crop; `cut` says that it ran into its token limit.

    `runaway`: it repeated itself without end, was stopped, and `text` has one copy of what it repeated. `notes` are
    stable words about how the answer came about (`blank`: the crop is of one colour and was not sent).
    """

    text: str
    cut: bool = False
    runaway: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a region could not be read: a stable word and a sentence for people."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture inside a table: hidden under `token` in the table's crop, put back where the token comes back.

    `planned` is the picture's own place in the plan, `bbox` is in pixels of the page.
    """

    token: str
    planned: int
    bbox: BBox


@dataclass(frozen=True, slots=True)
class Reading:
    """One crop for the VLM: a region, or the `parts` of one paragraph set under each other.

    `aligns` says how each part after the first lies under those before it.
    """

    task: Task
    parts: tuple[Region, ...]
    aligns: tuple[Align, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """A region at its place in the document, and how it is read.

    `reading` is None for what is not read: a picture, or a later part of a paragraph that block `group` carries.
    `picture` says that the crop itself belongs to the document.
    """

    region: Region
    group: int
    reading: Reading | None = None
    picture: bool = False


@dataclass(frozen=True, slots=True)
class Spot:
    """A line that the spotting task found: its text and the four corners, in pixels of the page."""

    text: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A region after recognition. `content` is plain text, LaTeX, or HTML for a table; "" beside an `error`,
    but for the errors `truncated`, what was read before the token limit, and `repetition`, before it repeated itself.

    `group` is the block that carries the text of a paragraph in several regions, None for a region by itself; `image`
    the path under which its crop belongs to the document; `level` a heading's depth (1 is `##`) where the whole
    document was looked at; `continues` says of a table that its rows were joined to the last table of the page before;
    `notes` are stable words about the text (`repetition_trimmed`, `blank`).
    """

    id: int
    label: str
    bbox: BBox
    order: int | None
    score: float
    content: str
    polygon: Polygon | None = None
    error: Failure | None = None
    group: int | None = None
    image: str | None = None
    level: int | None = None
    continues: bool = False
    notes: tuple[str, ...] = ()
    spots: tuple[Spot, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What was spent; adds up."""

    pages: int = 0
    regions: int = 0
    failed_regions: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.pages + other.pages,
            self.regions + other.regions,
            self.failed_regions + other.failed_regions,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


@dataclass(frozen=True, slots=True)
class Preparation:
    """What was done to a page before it was read; coordinates are of the page after it.

    `angle` is by how many degrees it was turned counterclockwise, None if nobody looked; `width` and `height` are those
    of the page as it came.
    """

    angle: int | None
    unwarped: bool
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class PageResult:
    """One page, read. `images` maps the paths that `markdown` names to JPEG bytes; `timings_ms` is by stage.

    `regions` is what the layout detector found, before it was decided which of it is read; `views` has the pictures to
    look at that were asked for.
    """

    page: int
    width: int
    height: int
    blocks: tuple[Block, ...]
    markdown: str
    usage: Usage
    images: dict[str, bytes] = field(default_factory=dict)
    timings_ms: dict[str, float] = field(default_factory=dict)
    regions: tuple[Region, ...] = ()
    views: dict[View, bytes] = field(default_factory=dict)
    preparation: Preparation | None = None

    @property
    def complete(self) -> bool:
        return self.usage.failed_regions == 0


@dataclass(frozen=True, slots=True)
class Detection:
    """How a caller wants regions found; None leaves it to the rules that go with the layout model.

    Classes are those of the model, by number. `threshold` is the least score; `merge` says what becomes of boxes in
    one another; `unclip` widens boxes by factors of width and height; `shape` is the outline that regions get.
    """

    threshold: float | dict[int, float] | None = None
    nms: bool | None = None
    unclip: tuple[float, float] | dict[int, tuple[float, float]] | None = None
    merge: Merge | dict[int, Merge] | None = None
    shape: Literal["auto", "rect", "quad", "poly"] = "auto"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a caller wants crops read; None leaves it to the task. Pixels bound width times height of a crop.

    `budgets` are the pixels (least, most) for single tasks, and go before `min_pixels` and `max_pixels`.
    """

    temperature: float | None = None
    top_p: float | None = None
    repetition_penalty: float | None = None
    max_tokens: int | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None
    budgets: tuple[tuple[Task, int | None, int | None], ...] = ()


AS_THE_MODEL_DOES = Detection()
AS_THE_TASK_DOES = Sampling()


@dataclass(frozen=True, slots=True)
class Views:
    """Pictures of a page to look at, as files of `form`, none with a side over `longest` pixels.

    `given` is the page as it came, `page` as it was read, `prepared` both and what lies between side by side, `overlay`
    has its regions, their labels and the reading order drawn on it.
    """

    names: tuple[View, ...] = ()
    form: Literal["PNG", "JPEG"] = "PNG"
    longest: int | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may choose for one document; `pages` as written by the caller (`1-3,7`, "" is all).

    `charts`, `seals` and `pictures`: the text inside these is read; `merge`: paragraphs broken over columns are read as
    one. `pretty`, `formula_numbers` and `ignored` (labels; None: furniture) are about the Markdown. `images`: the crops
    of pictures are returned, those that the Markdown shows (`inline`), or `all`. `dpi` is for PDF pages, None is the
    service's own. `orientation`, `unwarping`: pages are turned upright and flattened before they are read.
    `join_tables`, `level_titles`: over the whole document, once all pages are read. Wherever something of an
    `interactive` document waits, nothing of a `batch` gets a turn.
    """

    pages: str = ""
    layout: bool = True
    task: Task = Task.OCR
    language: str = ""
    images: Literal["none", "inline", "all"] = "none"
    charts: bool = False
    seals: bool = False
    pictures: bool = False
    merge: bool = True
    pretty: bool = True
    formula_numbers: bool = False
    ignored: frozenset[str] | None = None
    detection: Detection = AS_THE_MODEL_DOES
    sampling: Sampling = AS_THE_TASK_DOES
    dpi: int | None = None
    views: Views = Views()
    orientation: bool = False
    unwarping: bool = False
    join_tables: bool = False
    level_titles: bool = False
    priority: Literal["interactive", "batch"] = "interactive"
