"""The routes of PaddleX's API, and what `/openapi.json` says of them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel

from gateway.api import openapi
from gateway.api.exchange import Exchange
from gateway.api.paddlex import layout_parsing, restructure, schemas
from gateway.api.paddlex.requests import ParsingFields
from gateway.api.paddlex.stored import RestructureFields
from gateway.api.problems import TITLES, request_id_of
from gateway.errors import GatewayError

LAYOUT_PARSING = "/layout-parsing"
RESTRUCTURE_PAGES = "/restructure-pages"
PATHS = (LAYOUT_PARSING, RESTRUCTURE_PAGES)
"""Whose errors stand in the envelope."""

SHAPES = (
    ParsingFields,
    RestructureFields,
    schemas.ParsingShape,
    schemas.RestructuredShape,
    schemas.FailureShape,
)
"""What the description refers to."""


def routes(dialect: layout_parsing.Dialect) -> APIRouter:
    """`POST /layout-parsing` and `POST /restructure-pages`."""
    router = APIRouter(tags=["paddlex"])

    @router.post(
        LAYOUT_PARSING,
        summary="Read a document, as PaddleX's server does",
        response_class=Response,
        responses=_responses(schemas.ParsingShape),
        openapi_extra=_body(ParsingFields),
    )
    async def parse(request: Request) -> Response:
        call = layout_parsing.Call(dialect, request_id_of(request))
        return Exchange(dialect.health.admission, call.prepare, _nothing)

    @router.post(
        RESTRUCTURE_PAGES,
        summary="Join tables, level titles and concatenate pages that were read before",
        response_class=Response,
        responses=_responses(schemas.RestructuredShape),
        openapi_extra=_body(RestructureFields),
    )
    async def restructure_pages(request: Request) -> Response:
        call = restructure.Call(dialect.max_bytes, request_id_of(request))
        return Exchange(dialect.health.admission, call.prepare, _nothing)

    return router


def _nothing(error: GatewayError) -> bytes:
    """The answer is one message: once it began, there is nothing to add."""
    return b""


def _body(shape: type[BaseModel]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": openapi.ref(shape)}}}}


def _responses(shape: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    failed = {"application/json": {"schema": openapi.ref(schemas.FailureShape)}}
    return {
        200: {"description": "Every page", "content": {"application/json": {"schema": openapi.ref(shape)}}},
        **{status: {"description": TITLES[status], "content": failed} for status in (401, 422, 429, 500, 503, 504)},
    }
