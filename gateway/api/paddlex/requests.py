"""What callers of PaddleX's API send (`paddlex` 3.7.2, `serving/schemas/paddleocr_vl.py`), and what it chooses.

Every field of that schema is here under its own name. What PaddleX takes and then does not look at (an unknown field,
a key of `vlmExtraArgs` that nothing reads) is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gateway.assemble import docx
from gateway.document import AS_THE_MODEL_DOES, Detection, Merge, Options, Sampling, Task, View, Views
from gateway.errors import InvalidRequest

Score = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]
Ratio = Positive | tuple[Positive, Positive]
Class = Annotated[int, Field(ge=0)]

DPI = 144
"""PaddleX renders PDF pages at twice 72 dpi; boxes are compared in pixels."""

LONGEST_VIEW = 2000
"""Pixels: PaddleX scales the pictures of `visualize` down to that."""

_READ_APART = (Task.OCR, Task.TABLE, Task.CHART, Task.FORMULA, Task.SEAL)


class Fields(BaseModel):
    """What both operations take."""

    model_config = ConfigDict(extra="forbid")

    outputFormats: list[Literal["docx"]] | None = Field(None, description='`["docx"]`: a Word document beside the rest')
    mergeTables: bool = Field(True, description="Join tables that go on over a page break")
    relevelTitles: bool = Field(True, description="Give headings their depth in the whole document")
    prettifyMarkdown: bool = Field(True, description="Pictures, captions and tables as centred HTML")
    showFormulaNumber: bool = Field(False, description="A formula carries the number beside it")
    returnMarkdownImages: bool = Field(True, description="Return the pictures that the Markdown names")
    logId: str | None = Field(None, description="Comes back in the answer; by default the request's own id")

    def refuse_the_impossible(self, *, adjustable: bool = False, preparing: Collection[str] = ()) -> None:
        """Raise `InvalidRequest` for what this service cannot do.

        `adjustable`: regions can be found otherwise than the layout detector does by itself; `preparing`: what can be
        done to pages before.
        """
        if wrong := self._impossible(adjustable, preparing):
            raise refusal([("value_error", f"body.{name}", why) for name, why in wrong.items()])

    def _impossible(self, adjustable: bool, preparing: Collection[str]) -> dict[str, str]:
        needed = self.outputFormats and not docx.available()
        return {"outputFormats": "this service is installed without the extra docx"} if needed else {}


class VlmExtraArgs(BaseModel):
    """What PaddleX reads of `vlmExtraArgs`; each goes before the field of the request that says the same."""

    model_config = ConfigDict(extra="forbid")

    ocr_min_pixels: Count | None = None
    ocr_max_pixels: Count | None = None
    table_min_pixels: Count | None = None
    table_max_pixels: Count | None = None
    chart_min_pixels: Count | None = None
    chart_max_pixels: Count | None = None
    formula_min_pixels: Count | None = None
    formula_max_pixels: Count | None = None
    seal_min_pixels: Count | None = None
    seal_max_pixels: Count | None = None
    min_pixels: Count | None = None
    max_pixels: Count | None = None
    max_new_tokens: Count | None = None
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    repetition_penalty: Positive | None = None


class ParsingFields(Fields):
    """The body of `/layout-parsing`."""

    file: str = Field(description="The document in base64, or its URL")
    fileType: Literal[0, 1] | None = Field(None, description="0: PDF, 1: image; by default told from the bytes")
    useDocOrientationClassify: bool | None = Field(None, description="Turn pages upright first")
    useDocUnwarping: bool | None = Field(None, description="Flatten photographed pages first")
    useLayoutDetection: bool | None = Field(None, description="`false`: read the page as one, with `promptLabel`")
    useChartRecognition: bool | None = None
    useSealRecognition: bool | None = None
    useOcrForImageBlock: bool | None = None
    layoutThreshold: Score | dict[Class, Score] | None = None
    layoutNms: bool | None = None
    layoutUnclipRatio: Ratio | dict[Class, Ratio] | None = None
    layoutMergeBboxesMode: Merge | dict[Class, Merge] | None = None
    layoutShapeMode: Literal["rect", "quad", "poly", "auto"] = "auto"
    promptLabel: Task | None = Field(None, description="Another than `ocr` only with `useLayoutDetection` false")
    formatBlockContent: bool | None = None
    repetitionPenalty: Positive | None = None
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    topP: Annotated[float, Field(gt=0, le=1)] | None = None
    minPixels: Count | None = None
    maxPixels: Count | None = None
    maxNewTokens: Count | None = None
    mergeLayoutBlocks: bool | None = None
    markdownIgnoreLabels: list[str] | None = None
    vlmExtraArgs: VlmExtraArgs | None = None
    restructurePages: bool = Field(False, description="Look at the whole document: `mergeTables`, `relevelTitles`")
    visualize: bool | None = Field(None, description="Return pictures of the pages and of what was found on them")

    @model_validator(mode="after")
    def _pixels_in_order(self) -> ParsingFields:
        if self.minPixels is not None and self.maxPixels is not None and self.minPixels > self.maxPixels:
            raise ValueError(f"`minPixels` ({self.minPixels}) cannot be greater than `maxPixels` ({self.maxPixels})")
        return self

    @property
    def layout(self) -> bool:
        return self.useLayoutDetection is not False

    def options(self, *, adjustable: bool, views: bool, preparing: Collection[str] = ()) -> Options:
        """The choices in the pipeline's words. `adjustable`: the layout detector takes its part of them; `views`:
        pictures to look at are wanted; `preparing`: what can be done to pages before."""
        wanted = (self.useDocOrientationClassify, self.useDocUnwarping)
        orientation, unwarping = (
            (step in preparing and True in wanted) if want is None else want
            for step, want in zip(("orientation", "unwarping"), wanted, strict=True)
        )
        return Options(
            layout=self.layout,
            task=self.promptLabel or Task.OCR,
            images="all" if self.returnMarkdownImages or self.outputFormats else "none",
            charts=bool(self.useChartRecognition),
            seals=bool(self.useSealRecognition),
            pictures=bool(self.useOcrForImageBlock),
            merge=self.mergeLayoutBlocks is not False,
            pretty=self.prettifyMarkdown,
            formula_numbers=self.showFormulaNumber,
            ignored=None if self.markdownIgnoreLabels is None else frozenset(self.markdownIgnoreLabels),
            detection=self._detection() if adjustable else AS_THE_MODEL_DOES,
            sampling=self._sampling(),
            dpi=DPI,
            views=Views(self._views(), "JPEG", LONGEST_VIEW) if views else Views(),
            orientation=orientation,
            unwarping=unwarping,
        )

    @property
    def prepared(self) -> bool:
        """Pages are changed before they are read."""
        return bool(self.useDocOrientationClassify or self.useDocUnwarping)

    def _views(self) -> tuple[View, ...]:
        drawn = self.layout or self.promptLabel is Task.SPOTTING
        wanted: dict[View, bool] = {"given": True, "prepared": self.prepared, "overlay": drawn}
        return tuple(name for name, wants in wanted.items() if wants)

    def _detection(self) -> Detection:
        unclip = self.layoutUnclipRatio
        return Detection(
            threshold=self.layoutThreshold,
            nms=self.layoutNms,
            unclip={key: _pair(ratio) for key, ratio in unclip.items()}
            if isinstance(unclip, dict)
            else None
            if unclip is None
            else _pair(unclip),
            merge=self.layoutMergeBboxesMode,
            shape=self.layoutShapeMode,
        )

    def _sampling(self) -> Sampling:
        extra = self.vlmExtraArgs or VlmExtraArgs()
        budgets = (
            (task, getattr(extra, f"{task.value}_min_pixels"), getattr(extra, f"{task.value}_max_pixels"))
            for task in _READ_APART
        )
        return Sampling(
            temperature=_first(extra.temperature, self.temperature),
            top_p=_first(extra.top_p, self.topP),
            repetition_penalty=_first(extra.repetition_penalty, self.repetitionPenalty),
            max_tokens=_first(extra.max_new_tokens, self.maxNewTokens),
            min_pixels=_first(extra.min_pixels, self.minPixels),
            max_pixels=_first(extra.max_pixels, self.maxPixels),
            budgets=tuple((task, least, most) for task, least, most in budgets if least or most),
        )

    def _impossible(self, adjustable: bool, preparing: Collection[str]) -> dict[str, str]:
        wrong = super()._impossible(adjustable, preparing)
        for name, step in (("useDocOrientationClassify", "orientation"), ("useDocUnwarping", "unwarping")):
            if getattr(self, name) and step not in preparing:
                wrong[name] = "this service has no model for it"
        if self.layout and self.promptLabel not in (None, Task.OCR):
            wrong["promptLabel"] = "only with useLayoutDetection=false"
        if self.layout and not adjustable:
            asked = {
                "layoutThreshold": self.layoutThreshold is not None,
                "layoutNms": self.layoutNms is False,
                "layoutUnclipRatio": self.layoutUnclipRatio is not None,
                "layoutMergeBboxesMode": self.layoutMergeBboxesMode is not None,
                "layoutShapeMode": self.layoutShapeMode in ("quad", "poly"),
            }
            wrong |= {name: "this service's layout detector does not know it" for name, told in asked.items() if told}
        return wrong


F = TypeVar("F", bound=Fields)


def validated(model: type[F], members: object) -> F:
    """The fields of a body. Raises `InvalidRequest`, whose detail names every wrong field as PaddleX does."""
    try:
        return model.model_validate(members)
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_input=False, include_context=False)
        raise refusal([(error["type"], _dotted(("body", *error["loc"])), error["msg"]) for error in errors]) from exc


def refusal(errors: list[tuple[str, str, str]]) -> InvalidRequest:
    """Type, place and message of each, in the form PaddleX's clients know."""
    return InvalidRequest(json.dumps([{"type": kind, "loc": place, "msg": why} for kind, place, why in errors]))


def log_id_of(members: object) -> str | None:
    """The id that a body, right or wrong, asks to see in the answer."""
    given = members.get("logId") if isinstance(members, Mapping) else None
    return given if isinstance(given, str) and given else None


def _dotted(place: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def _pair(ratio: float | tuple[float, float]) -> tuple[float, float]:
    return ratio if isinstance(ratio, tuple) else (ratio, ratio)


N = TypeVar("N", int, float)


def _first(one: N | None, other: N | None) -> N | None:
    return other if one is None else one
