"""The shapes of PaddleX's answers, for `/openapi.json`; a test holds them and what is sent together."""

from __future__ import annotations

from typing import Any, Literal

from gateway.api.schemas import Shape


class MarkdownShape(Shape):
    text: str
    images: dict[str, str] | None = None


class FileShape(Shape):
    content: str
    fileName: str


class ExportsShape(Shape):
    docx: FileShape


class ParsedPageShape(Shape):
    """A page. `prunedResult` is PaddleX's, with `parsing_res_list` for the blocks."""

    prunedResult: dict[str, Any]
    markdown: MarkdownShape
    outputImages: dict[str, str] | None = None
    inputImage: str | None = None
    exports: ExportsShape | None = None


class SizeShape(Shape):
    width: int
    height: int


class ImageInfo(SizeShape):
    type: Literal["image"]


class PagesInfo(Shape):
    numPages: int
    pages: list[SizeShape]
    type: Literal["pdf", "tiff"]


class ParsedDocumentShape(Shape):
    layoutParsingResults: list[ParsedPageShape]
    dataInfo: ImageInfo | PagesInfo


class ParsingShape(Shape):
    logId: str
    result: ParsedDocumentShape
    errorCode: Literal[0]
    errorMsg: Literal["Success"]


class RestructuredDocumentShape(Shape):
    layoutParsingResults: list[ParsedPageShape]


class RestructuredShape(Shape):
    logId: str
    result: RestructuredDocumentShape
    errorCode: Literal[0]
    errorMsg: Literal["Success"]


class FailureShape(Shape):
    """`errorCode` is the HTTP status; `errorMsg` a sentence, or for 422 a JSON list that names the fields."""

    logId: str
    errorCode: int
    errorMsg: str
