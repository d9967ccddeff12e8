"""Answers for equal crops: one is asked for while others wait for it, and it is kept for a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256

import anyio

from gateway import metrics
from gateway.document import Recognition, Sampling, Task
from gateway.errors import RegionFailed

_ENTRY = 400
"""Bytes that an answer takes beside its text; 330 to 360 were measured."""


@dataclass(slots=True, eq=False)
class _Flight:
    """An answer that is being waited for: it, or the crop's own failure, or nothing when its reader went away."""

    done: anyio.Event = field(default_factory=anyio.Event)
    outcome: Recognition | RegionFailed | None = None
    alone: bool = False
    """The backends failed; who waited asks for itself."""


class Answers:
    """At most `size` bytes of whole answers, those lately used; 0 keeps none and lets everybody ask."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held = 0
        self._kept: OrderedDict[bytes, Recognition] = OrderedDict()
        self._flights: dict[bytes, _Flight] = {}

    @property
    def held(self) -> int:
        """Bytes of the answers kept."""
        return self._held

    def key(self, jpeg: bytes, task: Task, language: str, sampling: Sampling) -> bytes:
        """Differs wherever the answer may. Callers choose the bytes, so nothing short of a real digest will do."""
        if self._size == 0:
            return b""
        asked = repr((task, language, sampling)).encode()
        return sha256(b"%d %b%b" % (len(asked), asked, jpeg)).digest()

    async def once(self, key: bytes, read: Callable[[], Awaitable[Recognition]]) -> Recognition:
        """The answer to an equal crop that is known or on its way, else what `read` gives.

        A reader that is cancelled leaves its place to one of those who wait for it. The crop's own failure is shared
        by those who wait, and not kept; when the backends fail, everybody who waits asks for itself.
        """
        if self._size == 0:
            return await read()
        while True:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                metrics.CACHE.labels(outcome="hit").inc()
                return kept
            if (flight := self._flights.get(key)) is None:
                metrics.CACHE.labels(outcome="miss").inc()
                return await self._lead(key, read)
            await flight.done.wait()
            if isinstance(flight.outcome, RegionFailed):
                raise RegionFailed(flight.outcome.detail, code=flight.outcome.code)
            if flight.outcome is not None:
                metrics.CACHE.labels(outcome="shared").inc()
                return flight.outcome
            if flight.alone:
                return await read()

    async def _lead(self, key: bytes, read: Callable[[], Awaitable[Recognition]]) -> Recognition:
        flight = self._flights[key] = _Flight()
        try:
            flight.outcome = answer = await read()
            self._keep(key, answer)
            return answer
        except RegionFailed as exc:
            flight.outcome = exc
            raise
        except Exception:
            flight.alone = True
            raise
        finally:
            del self._flights[key]
            flight.done.set()

    def _keep(self, key: bytes, answer: Recognition) -> None:
        size = _size(answer)
        if answer.cut or answer.runaway or size > self._size:
            return
        self._kept[key] = answer
        self._held += size
        while self._held > self._size:
            self._held -= _size(self._kept.popitem(last=False)[1])
        metrics.CACHE_BYTES.set(self._held)


def _size(answer: Recognition) -> int:
    return len(answer.text.encode()) + _ENTRY
