from __future__ import annotations

import io
from collections.abc import AsyncIterator

import pytest
from PIL import Image
from vlm_standin import Standin


@pytest.fixture
async def vlm() -> AsyncIterator[Standin]:
    async with Standin() as standin:
        yield standin


@pytest.fixture
def jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (60, 20), "orange").save(file, "JPEG")
    return file.getvalue()
