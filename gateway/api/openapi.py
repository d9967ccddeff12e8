"""`/openapi.json`: what FastAPI gathers from the routes, and what they share: problems, keys, shapes of streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.api import schemas
from gateway.api.problems import TITLES

REF = "#/components/schemas/{model}"


def ref(shape: type[BaseModel]) -> dict[str, str]:
    """A reference to a shape that `install` puts among the components."""
    return {"$ref": REF.format(model=shape.__name__)}


def problem_responses(statuses: Sequence[int]) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route, for the errors it can end in."""
    content = {"application/problem+json": {"schema": ref(schemas.Problem)}}
    return {status: {"description": TITLES[status], "content": content} for status in statuses}


def install(app: FastAPI, shapes: Sequence[type[BaseModel]], *, keys: bool) -> None:
    """Make `/openapi.json` hold `shapes` beside those of the routes, and say whether a key is wanted."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            _, definitions = models_json_schema([(shape, "serialization") for shape in shapes], ref_template=REF)
            components = schema.setdefault("components", {})
            components.setdefault("schemas", {}).update(definitions["$defs"])
            if keys:
                components["securitySchemes"] = {
                    "bearer": {"type": "http", "scheme": "bearer"},
                    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                }
                schema["security"] = [{"bearer": []}, {"header": []}]
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
