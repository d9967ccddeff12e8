"""A monitor and a recogniser at work, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from vlm_standin import MODEL

from gateway.vlm.client import Recognizer
from gateway.vlm.monitor import Monitor


@asynccontextmanager
async def watching(*urls: str, model: str = MODEL, **options: Any) -> AsyncIterator[Monitor]:
    """A monitor at work that has looked once."""
    async with Monitor(urls, model, **options) as monitor, anyio.create_task_group() as tasks:
        await tasks.start(lambda task_status: monitor.run(task_status=task_status))
        await monitor.probe()
        yield monitor
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def reading(*urls: str, model: str = MODEL, **options: Any) -> AsyncIterator[Recognizer]:
    """A recogniser with a monitor at work."""
    async with watching(*urls, model=model) as monitor, Recognizer(monitor, **options) as recognizer:
        yield recognizer
