"""Reads crops: one chat completion each, bounded in flight, tried again while that has a point."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self

import aiohttp
import anyio

from gateway.document import AS_THE_TASK_DOES, Recognition, Sampling, Task
from gateway.errors import BackendError, BackendStarting, RegionFailed
from gateway.turns import EVERYBODY, Party, Turns
from gateway.vlm import wire
from gateway.vlm.ask import Crop, ask
from gateway.vlm.backends import Backend
from gateway.vlm.monitor import Monitor
from gateway.vlm.patience import Patience
from gateway.vlm.setbacks import Away, Garbled, Refused, Setback, TimedOut
from gateway.vlm.transport import open_session

log = logging.getLogger(__name__)

_PROOF_LIMIT = 15.0
"""Seconds a backend gets to read the monitor's own picture after it failed on a crop."""

_AWAY_RETRY, _STARTING_RETRY = 5.0, 10.0


class Recognizer:
    """Reads crops at the monitor's backends, `in_flight` at once at each.

    A seat is taken before a crop is made and kept until it is read, pauses between attempts included: crops in memory
    never outnumber the seats, and while a backend is away, nothing is cropped for it. `request_limit` seconds bound one
    request, `attempts` the setbacks of one crop, `patience` how many seconds after the backends went away reads still
    wait for them. `crop_threads` threads make crops.
    """

    def __init__(
        self,
        monitor: Monitor,
        *,
        in_flight: int = 64,
        request_limit: float = 120.0,
        attempts: int = 4,
        patience: float = 30.0,
        crop_threads: int = 4,
    ) -> None:
        self._monitor, self._model = monitor, monitor.model
        self._in_flight, self._request_limit = in_flight, request_limit
        self._attempts, self._patience = attempts, patience
        self._seats = Turns(in_flight * len(monitor.backends))
        self._crop_threads = anyio.CapacityLimiter(crop_threads)
        self._http: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._http = open_session(self._seats.total)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    @property
    def waiting(self) -> int:
        """Reads without a seat yet."""
        return self._seats.waiting

    async def read(
        self,
        crop: Callable[[], bytes],
        task: Task,
        *,
        language: str = "",
        sampling: Sampling = AS_THE_TASK_DOES,
        party: Party = EVERYBODY,
    ) -> Recognition:
        """Read what `crop` makes: JPEG bytes, called once, in a worker thread, and only when there is a seat.

        `language` is a hint of a few ASCII letters that goes with the request; `sampling` is what the caller wants
        otherwise than usual; seats go by `party`. Raises `BackendError` (`BackendStarting` before a backend ever was
        ready) and `RegionFailed`; what `crop` raises comes out as it is. Waits no longer than the enclosing deadline,
        and a cancelled read closes its connection, at which vLLM stops generating.
        """
        ready = sum(backend.ready for backend in self._monitor.backends)
        self._seats.total = self._in_flight * max(1, ready)
        async with self._seats.place(party):
            if self._monitor.away_for() > self._patience:
                raise BackendError("The recognition backend is away.", retry_after=_AWAY_RETRY)
            picture = await anyio.to_thread.run_sync(lambda: wire.encoded(crop()), limiter=self._crop_threads)
            return await self._read(Crop(picture, task, language, sampling))

    async def _read(self, crop: Crop) -> Recognition:
        patience = Patience(self._monitor, self._attempts, self._patience)
        try:
            return await patience.retrying()(self._attempt, crop, patience.tried)
        except Away as exc:
            raise self._away(exc.wait) from exc
        except Garbled as exc:
            raise RegionFailed("The recognition backend gave no usable answer.", code="bad_answer") from exc
        except Setback as exc:
            if not await self._works_otherwise(patience):
                raise self._away(exc.wait) from exc
            if isinstance(exc, TimedOut):
                detail = f"The crop was not read within {self._request_limit:g} seconds."
                raise RegionFailed(detail, code="recognition_timeout") from exc
            raise RegionFailed("The recognition backend fails on this crop.") from exc

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
            if await self._monitor.still_reads(backend, min(_PROOF_LIMIT, self._request_limit)):
                return True
        return False

    async def _attempt(self, crop: Crop, tried: set[Backend]) -> Recognition:
        backend = self._choose(tried)
        if self._monitor.ever_ready and not backend.ready:
            raise Away("no backend is ready")
        try:
            with backend.request(self._request_limit) as scope:
                recognition = await ask(self._http, backend, self._model, crop)
                self._monitor.answered(backend)
                return recognition
            if anyio.current_time() >= scope.deadline:
                raise TimedOut("no answer in time")
            raise Away("given up by the monitor")
        except Setback as exc:
            tried.add(backend)
            self._monitor.failed(backend, refused=isinstance(exc, Refused))
            # a backend that is away is the monitor's to tell, once, and not every read's
            log.log(logging.WARNING if backend.ready else logging.DEBUG, "%s: %s", backend.url, exc)
            raise

    def _choose(self, tried: set[Backend]) -> Backend:
        """The least busy of the backends that are ready and have not failed this crop, in turn."""
        return min(self._monitor.backends, key=lambda b: (b in tried, not b.ready, b.in_flight, b.taken))
