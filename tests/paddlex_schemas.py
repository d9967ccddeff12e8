"""The schemas of PaddleX's own server; its package wants a web server's packages that nothing here needs."""

from __future__ import annotations

from types import ModuleType

import pytest
from pydantic import BaseModel, ValidationError


def parsing() -> type[BaseModel]:
    """The body of `/layout-parsing`."""
    schema: type[BaseModel] = _schemas()[0].InferRequest
    return schema


def restructuring() -> type[BaseModel]:
    """The body of `/restructure-pages`."""
    schema: type[BaseModel] = _schemas()[0].RestructurePagesRequest
    return schema


def refuses(schema: type[BaseModel], members: dict[str, object], field: str) -> bool:
    """Whether PaddleX's server would answer 422 because of this field."""
    try:
        schema.model_validate(members)
    except ValidationError as exc:
        return any(error["loc"][:1] == (field,) for error in exc.errors())
    return False


def check_answer(answer: object, path: str) -> None:
    """Raises `ValidationError` where PaddleX's server could not have answered so."""
    schemas, models = _schemas()
    shape = schemas.InferResult if path == "/layout-parsing" else schemas.RestructurePagesResult
    models.AIStudioResultResponse[shape].model_validate(answer)


def _schemas() -> tuple[ModuleType, ModuleType]:
    deps = pytest.importorskip("paddlex.utils.deps")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deps, "require_serving_plugin", lambda: None)
        from paddlex.inference.serving.infra import models
        from paddlex.inference.serving.schemas import paddleocr_vl
    return paddleocr_vl, models
