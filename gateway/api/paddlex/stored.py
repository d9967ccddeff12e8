"""What a caller of `/restructure-pages` sends: the pages of earlier answers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from gateway.api.paddlex.requests import Count, Fields


class StoredBlock(BaseModel):
    """A block of an earlier answer; what else it has stays with it."""

    model_config = ConfigDict(extra="allow")

    block_label: str
    block_content: str
    block_bbox: tuple[float, float, float, float]
    group_id: int | None = None


class StoredSettings(BaseModel):
    """What of `model_settings` says how a stored page is written."""

    model_config = ConfigDict(extra="allow")

    use_layout_detection: bool = True
    use_chart_recognition: bool = False
    use_seal_recognition: bool = False
    use_ocr_for_image_block: bool = False
    format_block_content: bool = False
    markdown_ignore_labels: list[str] = []


class StoredResult(BaseModel):
    """A `prunedResult`; what else it has stays with it."""

    model_config = ConfigDict(extra="allow")

    width: Count
    height: Count
    model_settings: StoredSettings = StoredSettings()
    parsing_res_list: list[StoredBlock]


class StoredPage(BaseModel):
    """A page of an earlier answer."""

    prunedResult: StoredResult
    markdownImages: dict[str, str] | None = None


class RestructureFields(Fields):
    """The body of `/restructure-pages`."""

    pages: list[StoredPage] = Field(description="The pages of `/layout-parsing` answers, in order")
    concatenatePages: bool = Field(False, description="Answer with one page that has the blocks of all")
