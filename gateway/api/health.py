"""Is the service fit, told from memory: what the monitor saw of the backends and what the layout's owner says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import anyio

from gateway.api.admission import Admission
from gateway.errors import BackendError, BackendStarting
from gateway.layout.owner import Layout
from gateway.vlm.monitor import Monitor

Status = Literal["starting", "ok", "degraded", "unavailable"]
Readiness = Literal["ready", "starting", "unavailable", "draining", "full"]


@dataclass(frozen=True, slots=True)
class Health:
    """`grace` seconds is how long a backend may be away before the service calls itself unavailable."""

    layout: Layout
    monitor: Monitor
    admission: Admission
    grace: float

    def status(self) -> Status:
        """The word of `/health`."""
        if not self.layout.ready or not self.monitor.ever_ready:
            return "starting"
        if self.monitor.ready:
            return "ok"
        away = anyio.current_time() - (self.monitor.away_since or 0)
        return "degraded" if away < self.grace else "unavailable"

    def readiness(self) -> Readiness:
        """The word of `/health/ready`: `ready` only when a request would be served now."""
        if self.admission.draining:
            return "draining"
        refusal = self.refusal()
        if refusal is not None:
            return "starting" if isinstance(refusal, BackendStarting) else "unavailable"
        return "full" if self.admission.full else "ready"

    def refusal(self) -> BackendError | None:
        """Why a document would not be served now; None when it would."""
        if not self.layout.ready:
            return BackendStarting("The layout model is still loading.", retry_after=5)
        if self.monitor.ready:
            return None
        if not self.monitor.ever_ready:
            return BackendStarting("The recognition backend is still starting.", retry_after=10)
        return BackendError("The recognition backend is away.", retry_after=10)
