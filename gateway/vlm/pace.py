"""Watches how busy the backends are and gives each of them its limit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import anyio

from gateway.vlm import probe
from gateway.vlm.backends import Backend
from gateway.vlm.limit import Limit, Load
from gateway.vlm.transport import Transport

log = logging.getLogger(__name__)

_ASK_LIMIT = 2.0
_ASK_AGAIN = 10.0
"""Seconds until a backend that never told the figures is asked for them again."""

_STREAMED = 3
"""Times longer than the quickest that a first token may take without having waited for a seat."""


async def pace(http: Transport, backends: Sequence[Backend], changed: Callable[[], None], *, interval: float) -> None:
    """Look at every backend with requests of ours each `interval` seconds; `changed` is called after a new limit."""
    async with anyio.create_task_group() as tasks:
        for backend in backends:
            tasks.start_soon(_pace, http, backend, changed, interval)


async def _pace(http: Transport, backend: Backend, changed: Callable[[], None], interval: float) -> None:
    limit, tells, ask_at, quickest = Limit(backend.limit), False, 0.0, float("inf")
    while True:
        await anyio.sleep(interval)
        peak, times = backend.take_peak(), backend.take_times()
        if not backend.in_flight:
            continue
        queue: tuple[float, float] | None = None
        if anyio.current_time() >= ask_at:
            queue = await probe.queue(http, backend.root, _ASK_LIMIT)
            tells = tells or queue is not None
            ask_at = anyio.current_time() + (0.0 if tells else _ASK_AGAIN)
        if queue is None and tells:
            limit = Limit(backend.limit)  # it is away, and may come back as another
            continue
        if queue is None:
            if not times.count:
                continue
            quickest = min(1.05 * quickest, times.quickest)
            queue = _estimated(backend.in_flight, times.first / times.count, times.whole / times.count, quickest)
        if limit.look(Load(backend.in_flight, *queue), used=peak >= backend.limit):
            log.debug("%s: %d at once", backend.url, limit.value)
            backend.limit = limit.value
            changed()


def _estimated(in_flight: int, first: float, whole: float, quickest: float) -> tuple[float, float]:
    """Running and waiting requests by the seconds to the `first` token and to the last: of `in_flight` requests, the
    share that waits is the share of its time that each of them waits (Little's law)."""
    waits = max(0.0, first - _STREAMED * quickest)
    waiting = in_flight * min(1.0, waits / whole)
    return in_flight - waiting, waiting
