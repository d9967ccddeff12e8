"""How long one read goes on trying: tenacity's stop and wait, in the terms of backends that go away and come back."""

from __future__ import annotations

import random
from collections.abc import Iterator

import anyio
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from gateway import metrics
from gateway.vlm.backends import Backend
from gateway.vlm.monitor import Monitor
from gateway.vlm.setbacks import Away, Setback, TimedOut

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_TIMEOUTS = 2


class Patience:
    """Bounds the attempts of one read.

    While the backends are away (`Away`), it tries on until they have been so for `patience` seconds, counted from when
    they went and not from when this read came, and not at all before one ever was ready. All other setbacks may happen
    `attempts` times, time-outs twice. Nothing is waited for that lies behind the caller's own deadline.
    """

    def __init__(self, monitor: Monitor, attempts: int, patience: float) -> None:
        self.tried: set[Backend] = set()
        """The backends that failed this read."""
        self.first_setback: float | None = None
        """Monotonic time of it."""
        self._monitor, self._attempts, self._patience = monitor, attempts, patience
        self._deadline = anyio.current_effective_deadline()
        self._away_since: float | None = None
        self._broken = self._timed_out = 0

    def retrying(self) -> AsyncRetrying:
        """The loop; its last setback comes out."""
        return AsyncRetrying(
            sleep=anyio.sleep,
            retry=retry_if_exception_type(Setback),
            wait=self._wait,
            stop=self._stop,
            before_sleep=lambda state: metrics.RETRIES.labels(_of(state).kind).inc(),
            reraise=True,
        )

    def _wait(self, state: RetryCallState) -> float:
        """What the backend asked for, nothing where another backend is ready, else a jittered and growing pause."""
        setback = _of(state)
        if isinstance(setback, Away) and setback.wait is None and any(self._untried()):
            return 0.0
        longest: float = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(state.attempt_number, 10))
        return max(setback.wait or 0.0, random.uniform(longest / 2, longest))

    def _untried(self) -> Iterator[Backend]:
        return (backend for backend in self._monitor.backends if backend.ready and backend not in self.tried)

    def _stop(self, state: RetryCallState) -> bool:
        now, setback = anyio.current_time(), _of(state)
        then = now + state.upcoming_sleep
        self.first_setback = self.first_setback or now
        if then >= self._deadline:
            return True
        if isinstance(setback, Away):
            self._away_since = self._away_since or now
            since = min(self._away_since, self._monitor.away_since or now)
            return not self._monitor.ever_ready or then - since > self._patience
        self._away_since = None
        self._broken += 1
        self._timed_out += isinstance(setback, TimedOut)
        return self._broken >= self._attempts or self._timed_out >= _TIMEOUTS


def _of(state: RetryCallState) -> Setback:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, Setback), error
    return error
