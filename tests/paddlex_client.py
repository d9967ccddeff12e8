"""What a client of PaddleX's server does: post JSON, look into the envelope."""

from __future__ import annotations

import base64
from typing import Any

import documents
import httpx
from running import Gateway

from gateway.api.paddlex import schemas

PNG = documents.png("Hello")


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def parse(running: Gateway, data: bytes = PNG, **fields: Any) -> httpx.Response:
    """POST to `/layout-parsing`."""
    return await running.http.post("/layout-parsing", json={"file": base64_of(data), **fields})


def pages_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """The pages of an answer of `/layout-parsing` that is as documented."""
    assert answer.status_code == 200, answer.text
    schemas.ParsingShape.model_validate(answer.json())
    return list(answer.json()["result"]["layoutParsingResults"])
