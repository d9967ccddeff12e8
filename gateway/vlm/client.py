"""Reads crops at the backends, bounded in flight."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

from gateway import metrics, tally
from gateway.document import AS_THE_TASK_DOES, Recognition, Sampling, Task
from gateway.errors import BackendError, RegionFailed
from gateway.threads import in_thread
from gateway.turns import EVERYBODY, Party, Turns
from gateway.vlm import wire
from gateway.vlm.ask import Crop
from gateway.vlm.attempts import Attempts
from gateway.vlm.cache import Answers
from gateway.vlm.limit import FIRST
from gateway.vlm.monitor import Monitor
from gateway.vlm.pace import pace
from gateway.vlm.transport import Transport

log = logging.getLogger(__name__)

_SECOND_TEMPERATURE, _SECOND_PENALTY, _SECOND_PATIENCE = 0.2, 1.05, 2.0


class Recognizer:
    """Reads crops at the monitor's backends, `in_flight` at once at each; None: as many as keep each of them busy.

    A seat is taken before a crop is made and kept until it is read, pauses between attempts included: crops in memory
    never outnumber the seats, and while a backend is away, nothing is cropped for it. `request_limit` seconds bound one
    request, `attempts` the setbacks of one crop, `patience` how many seconds after the backends went away reads still
    wait for them. `cache` bytes are for answers that equal crops get again.
    `interval` seconds are between two looks at how busy the backends are.
    """

    def __init__(
        self,
        monitor: Monitor,
        *,
        in_flight: int | None = None,
        request_limit: float = 120.0,
        attempts: int = 4,
        patience: float = 30.0,
        cache: int = 0,
        interval: float = 0.5,
    ) -> None:
        self._monitor = monitor
        self._in_flight, self._interval = in_flight, interval
        for backend in monitor.backends:
            backend.limit = in_flight or FIRST
        self._seats = Turns(1, "seat")
        self._give_seats()
        self._answers = Answers(cache)
        self._http = Transport()
        self._attempts = Attempts(self._http, monitor, limit=request_limit, attempts=attempts, patience=patience)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def run(self) -> None:
        """Find out, until cancelled, how many requests each backend does well with; without this, they stay as they
        are."""
        if self._in_flight is None:
            await pace(self._http, self._monitor.backends, self._give_seats, interval=self._interval)

    def _give_seats(self) -> None:
        backends = self._monitor.backends
        self._seats.total = sum(b.limit for b in backends if b.ready) or max(b.limit for b in backends)

    @property
    def queue(self) -> Turns:
        """The seats, and who waits for one."""
        return self._seats

    @property
    def seats(self) -> int:
        """Reads that may be under way at once."""
        return self._seats.total

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
        otherwise than usual; seats go by `party`, whose priority goes with the request. An answer that runs away is
        stopped and the crop read once more with other sampling; if that runs away too, what came before is the text,
        marked so. One that is too large for the backend is sent again at half its width and height. Raises
        `BackendError` (`BackendStarting` before a backend ever was ready) and `RegionFailed`; what `crop` raises comes
        out as it is. Waits no longer than the enclosing deadline, and a cancelled read closes its connection, at which
        vLLM stops generating.
        """
        self._give_seats()
        async with self._seats.place(party) as seat:
            tally.read().waited_ms = seat.waited * 1000
            self._attempts.check()

            def made() -> tuple[bytes, bytes]:
                jpeg = crop()
                return self._answers.key(jpeg, task, language, sampling), wire.encoded(jpeg)

            with metrics.STAGES["crop"].time():
                key, picture = await in_thread(made)
            with metrics.STAGES["region"].time():
                asked = Crop(picture, task, language, sampling, priority=party.priority)
                return await self._answers.once(key, partial(self._read, asked))

    async def _fitted(self, crop: Crop) -> Recognition:
        """Read it, or where it is more than a backend takes, its picture at half the width and height."""
        try:
            return await self._attempts.read(crop)
        except RegionFailed as exc:
            if exc.code != "crop_too_large":
                raise
            smaller = await in_thread(wire.halved, crop.picture)
            return await self._attempts.read(replace(crop, picture=smaller))

    async def _read(self, crop: Crop) -> Recognition:
        first = await self._fitted(crop)
        if not first.runaway:
            return first
        try:
            second = await self._fitted(replace(crop, sampling=_otherwise(crop.sampling), patience=_SECOND_PATIENCE))
        except (RegionFailed, BackendError) as exc:
            log.warning("an answer ran away and the crop could not be read again: %s", exc)
            second = replace(first, prompt_tokens=0, completion_tokens=0)
        metrics.RUNAWAYS.labels(outcome="trimmed" if second.runaway else "mended").inc()
        # more was read before it began to repeat itself
        best = max(first, second, key=lambda read: len(read.text)) if second.runaway else second
        return replace(
            best,
            prompt_tokens=first.prompt_tokens + second.prompt_tokens,
            completion_tokens=first.completion_tokens + second.completion_tokens,
        )


def _otherwise(sampling: Sampling) -> Sampling:
    """Less of what makes a model repeat itself: always the likeliest token, and no price on saying it again."""
    return replace(
        sampling,
        temperature=max(sampling.temperature or 0.0, _SECOND_TEMPERATURE),
        repetition_penalty=max(sampling.repetition_penalty or 1.0, _SECOND_PENALTY),
    )
