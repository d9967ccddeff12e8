"""The request schemas of PaddleX's own server; its package wants a web server's packages that nothing here needs."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError


def parsing() -> type[BaseModel]:
    """The body of `/layout-parsing`."""
    return _schemas()[0]


def restructuring() -> type[BaseModel]:
    """The body of `/restructure-pages`."""
    return _schemas()[1]


def refuses(schema: type[BaseModel], members: dict[str, object], field: str) -> bool:
    """Whether PaddleX's server would answer 422 because of this field."""
    try:
        schema.model_validate(members)
    except ValidationError as exc:
        return any(error["loc"][:1] == (field,) for error in exc.errors())
    return False


def _schemas() -> tuple[type[BaseModel], type[BaseModel]]:
    deps = pytest.importorskip("paddlex.utils.deps")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deps, "require_serving_plugin", lambda: None)
        from paddlex.inference.serving.schemas import paddleocr_vl
    return paddleocr_vl.InferRequest, paddleocr_vl.RestructurePagesRequest
