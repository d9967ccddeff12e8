"""One backend as this process knows it: what probes said of it, and what our own requests met there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import anyio

from gateway import metrics
from gateway.errors import GatewayError, RegionFailed
from gateway.vlm.limit import FIRST
from gateway.vlm.setbacks import Setback

Status = Literal["ready", "starting", "unreachable", "unhealthy", "hung"]


@dataclass(frozen=True, slots=True)
class BackendState:
    """What is known of a backend at one moment; `detail` says why it is not ready.

    `latency_ms` is that of the last `/health` answer; the stamps are ISO 8601 in UTC. `restarted_at` is when
    supervisord last began it anew because it hung.
    """

    url: str
    status: Status
    model: str | None = None
    latency_ms: float | None = None
    checked_at: str | None = None
    last_ready_at: str | None = None
    restarted_at: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of `count` answers: the sums to their `first` tokens and to their last, and the `quickest` first one."""

    count: int = 0
    first: float = 0.0
    whole: float = 0.0
    quickest: float = float("inf")


class Backend:
    """An OpenAI base URL and the requests of ours that are in flight there."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.state = BackendState(self.url, "starting", detail="not probed yet")
        self.takes_pixels = True
        """Whether requests may carry `mm_processor_kwargs`; False once it refused one."""
        self.takes_priority = True
        """Whether requests may carry a `priority`; False once it refused one."""
        self.taken = 0
        """Requests ever given to it."""
        self.answered_at = float("-inf")
        """Monotonic time of the last answer to a request of ours."""
        self.heard_at = float("-inf")
        """Monotonic time of the last token for a request of ours."""
        self.limit = FIRST
        """Requests that it gets at once."""
        self.failures = 0
        """Requests that came to nothing since the last one that was answered, whoever was to blame."""
        self._busy_since = 0.0
        self._peak = 0
        self._times = Times()
        self._running: set[anyio.CancelScope] = set()
        self.name = metrics.backend(url)
        """Its URL, for metrics, logs and traces."""
        self._seconds = metrics.BACKEND_SECONDS.labels(self.name)
        self._first_tokens = metrics.FIRST_TOKEN_SECONDS.labels(self.name)

    @property
    def ready(self) -> bool:
        return self.state.status == "ready"

    @property
    def in_flight(self) -> int:
        return len(self._running)

    @property
    def root(self) -> str:
        """Where `/health` and `/metrics` are."""
        return self.url.removesuffix("/v1")

    def heard(self) -> None:
        """Something came for a request of ours."""
        self.heard_at = time.monotonic()  # the loop's own clock, asked for without its detours

    def streamed(self, first: float, whole: float) -> None:
        """An answer came whose first token took so many seconds, and so many the whole."""
        self._first_tokens.observe(first)
        times = self._times
        self._times = Times(times.count + 1, times.first + first, times.whole + whole, min(times.quickest, first))

    def take_times(self) -> Times:
        """Of the answers that were `streamed` since this was last asked."""
        times, self._times = self._times, Times()
        return times

    def take_peak(self) -> int:
        """The most requests in flight since this was last asked."""
        peak, self._peak = self._peak, len(self._running)
        return peak

    def quiet_for(self) -> float:
        """Seconds that requests have been in flight here without a token for any; 0 when there are none."""
        if not self._running:
            return 0.0
        return anyio.current_time() - max(self._busy_since, self.answered_at, self.heard_at)

    @contextmanager
    def request(self, limit: float) -> Iterator[anyio.CancelScope]:
        """A request of ours, cancelled (as the scope tells) after `limit` seconds or by `abandon`."""
        began, outcome = anyio.current_time(), "cancelled"
        if not self._running:
            self._busy_since = began
        self.taken += 1
        try:
            with anyio.move_on_after(limit) as scope:
                self._running.add(scope)
                self._peak = max(self._peak, len(self._running))
                try:
                    yield scope
                    outcome = "answered"
                finally:
                    self._running.discard(scope)
            if scope.cancelled_caught:
                outcome = "timed_out" if anyio.current_time() >= scope.deadline else "abandoned"
        except (Setback, GatewayError) as exc:
            outcome = _word(exc)
            raise
        finally:
            metrics.BACKEND_REQUESTS.labels(self.name, outcome).inc()
            if outcome == "answered":
                self._seconds.observe(anyio.current_time() - began)

    def abandon(self) -> int:
        """Cancel all requests in flight, which will get no answer any more; returns how many."""
        for scope in self._running:
            scope.cancel("the backend is gone")
        return len(self._running)


def _word(exc: Setback | GatewayError) -> str:
    if isinstance(exc, Setback):
        return exc.kind
    return "crop_failed" if isinstance(exc, RegionFailed) else "misconfigured"
