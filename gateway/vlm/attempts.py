"""One reading of a crop: asked for again, and elsewhere, while that has a point."""

from __future__ import annotations

import logging

import anyio

from gateway import tally
from gateway.document import Recognition
from gateway.errors import BackendError, BackendStarting, RegionFailed
from gateway.traces import span
from gateway.vlm.ask import Crop, ask
from gateway.vlm.backends import Backend
from gateway.vlm.monitor import Monitor
from gateway.vlm.patience import Patience
from gateway.vlm.setbacks import Away, Garbled, Setback, TimedOut
from gateway.vlm.transport import Transport

log = logging.getLogger(__name__)

_PROOF_LIMIT = 15.0
"""Seconds a backend gets to read the monitor's own picture after it failed on a crop."""

_AWAY_RETRY, _STARTING_RETRY = 5.0, 10.0


class Attempts:
    """`limit` seconds bound one request, `attempts` the setbacks of one reading, `patience` how many seconds after the
    backends went away it still waits for them."""

    def __init__(self, http: Transport, monitor: Monitor, *, limit: float, attempts: int, patience: float) -> None:
        self._http, self._monitor = http, monitor
        self._limit, self._attempts, self._patience = limit, attempts, patience

    def check(self) -> None:
        """Raise `BackendError` where a reading would not even be tried."""
        if self._monitor.away_since is not None and self._monitor.away_for() >= self._patience:
            raise BackendError("The recognition backend is away.", retry_after=_AWAY_RETRY)

    async def read(self, crop: Crop) -> Recognition:
        """What some backend reads. Raises `BackendError`, or `RegionFailed` where the crop is to blame."""
        patience = Patience(self._monitor, self._attempts, self._patience)
        try:
            return await self._patiently(crop, patience)
        except Away as exc:
            raise self._away(exc.wait) from exc
        except Garbled as exc:
            raise RegionFailed("The recognition backend gave no usable answer.", code="bad_answer") from exc
        except Setback as exc:
            if not await self._works_otherwise(patience):
                raise self._away(exc.wait) from exc
            if isinstance(exc, TimedOut):
                detail = f"The crop was not read within {self._limit:g} seconds."
                raise RegionFailed(detail, code="recognition_timeout") from exc
            raise RegionFailed("The recognition backend fails on this crop.") from exc

    async def _patiently(self, crop: Crop, patience: Patience) -> Recognition:
        try:
            return await self._attempt(crop, patience.tried)
        except Setback as exc:
            first = [exc]

        async def again() -> Recognition:
            if first:
                raise first.pop()
            return await self._attempt(crop, patience.tried)

        # tenacity is told of the first setback, and not of the readings without any: it costs 0.1 ms of CPU each
        return await patience.retrying()(again)

    def _away(self, wait: float | None) -> BackendError:
        if not self._monitor.ever_ready:
            detail = "The recognition backend is still starting."
            return BackendStarting(detail, retry_after=wait or _STARTING_RETRY)
        return BackendError("The recognition backend does not answer.", retry_after=wait or _AWAY_RETRY)

    async def _works_otherwise(self, patience: Patience) -> bool:
        """Tell the crop's fault from the backend's: it answered others meanwhile, or reads a picture of ours."""
        since = patience.first_setback or 0.0
        if any(backend.answered_at > since for backend in self._monitor.backends):
            return True
        for backend in patience.tried:
            if await self._monitor.still_reads(backend, min(_PROOF_LIMIT, self._limit)):
                return True
        return False

    async def _attempt(self, crop: Crop, tried: set[Backend]) -> Recognition:
        backend = self._choose(tried)
        if self._monitor.ever_ready and not backend.ready:
            raise Away("no backend is ready")
        taken = tally.read()
        taken.attempts, taken.backend = taken.attempts + 1, backend.name
        try:
            with span("attempt", "CLIENT", number=taken.attempts, backend=backend.name) as watched:
                with backend.request(self._limit) as scope:
                    recognition = await ask(self._http, backend, self._monitor.model, crop, watched)
                    self._monitor.answered(backend)
                    return recognition
                if anyio.current_time() >= scope.deadline:
                    raise TimedOut("no answer in time")
                raise Away("given up by the monitor")
        except Setback as exc:
            tried.add(backend)
            self._monitor.failed(backend, exc)
            # a backend that is away is the monitor's to tell, once, and not every read's
            log.log(logging.WARNING if backend.ready else logging.DEBUG, "%s: %s", backend.url, exc)
            raise

    def _choose(self, tried: set[Backend]) -> Backend:
        """The least busy for its limit of the backends that are ready and have not failed this crop, in turn."""
        return min(self._monitor.backends, key=lambda b: (b in tried, not b.ready, b.in_flight / b.limit, b.taken))
