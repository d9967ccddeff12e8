"""`/metrics`: what was counted, and what the service holds at this moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import anyio
from prometheus_client import generate_latest

from gateway import metrics
from gateway.api.health import Health
from gateway.memory import of_children
from gateway.turns import Turns
from gateway.vlm.backends import Status


@dataclass(frozen=True, slots=True)
class Figures:
    """`queues` are all places where pages and regions wait."""

    health: Health
    queues: Mapping[metrics.Queue, Turns]

    async def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        self._requests()
        self._waiting()
        self._backends()
        return await anyio.to_thread.run_sync(self._written)

    def _requests(self) -> None:
        admission = self.health.admission
        metrics.READY.set(self.health.readiness() == "ready")
        metrics.ADMITTED.set(admission.admitted)
        metrics.ADMITTED_LIMIT.set(admission.limit)
        metrics.HELD_BYTES.set(admission.bytes_held)
        metrics.HELD_LIMIT_BYTES.set(admission.max_bytes)

    def _waiting(self) -> None:
        for queue, turns in self.queues.items():
            metrics.QUEUE_WAITING.labels(queue).set(turns.waiting)
            metrics.QUEUE_HELD.labels(queue).set(turns.held)
            metrics.QUEUE_LIMIT.labels(queue).set(turns.total)

    def _backends(self) -> None:
        for backend in self.health.monitor.backends:
            name = metrics.backend(backend.url)
            metrics.BACKEND_READY.labels(name).set(backend.ready)
            metrics.BACKEND_IN_FLIGHT.labels(name).set(backend.in_flight)
            metrics.BACKEND_LIMIT.labels(name).set(backend.limit)
            for state in get_args(Status):
                metrics.BACKEND_STATE.labels(name, state).set(backend.state.status == state)

    def _written(self) -> bytes:
        """In a thread: the system is asked, and a text of some hundred lines made."""
        memory, decoders = self.health.admission.memory, of_children()
        metrics.DECODERS.set(len(decoders))
        metrics.DECODER_BYTES.set(sum(decoders))
        metrics.MEMORY_BYTES.set(memory.available() or 0)
        metrics.MEMORY_RESERVE_BYTES.set(memory.reserve)
        return generate_latest()
