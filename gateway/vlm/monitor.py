"""The one background task that watches the backends; everything about their health is read from its memory."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskStatus

from gateway.vlm import probe
from gateway.vlm.backends import Backend, BackendState, Status
from gateway.vlm.setbacks import Away, Refused, Setback
from gateway.vlm.transport import Transport

__all__ = ["BackendState", "Monitor"]

log = logging.getLogger(__name__)

_APART = 0.5
"""Seconds between two looks that failing requests bring about."""

_MOST_FAILURES = 8
_FAILS = "it fails on every request"


class Monitor:
    """Probes every backend each `interval` seconds, each `interval_away` while one is not ready, in at most `limit`.

    `hung` is a backend where our requests have been in flight for `hung_after` seconds without one answer while its own
    token counter stood still; it is ready again when the counter moves, one is answered, or it reads a picture. A
    backend that refused connections for `gone_after` seconds, or is hung, loses our requests in flight: they get no
    answer any more (vLLM 0.10.2 keeps them open on SIGTERM). One that stays hung for `restart_after` seconds is handed
    to `restart`, with its URL, once until it was ready again.

    A backend where many requests in a row came to nothing gets no more of them, whatever its `/health` says, until it
    reads a small picture of our own.
    """

    def __init__(
        self,
        urls: Sequence[str],
        model: str,
        *,
        interval: float = 5.0,
        interval_away: float = 1.0,
        limit: float = 4.0,
        hung_after: float = 60.0,
        gone_after: float = 5.0,
        restart: Callable[[str], Awaitable[bool]] | None = None,
        restart_after: float = 30.0,
    ) -> None:
        self.backends = tuple(Backend(url) for url in urls)
        self.model = model
        self.ever_ready = False
        """Some backend was ready once."""
        self.away_since: float | None = None
        """Monotonic time since which no backend is ready; None while one is, and before one ever was."""
        self._interval, self._interval_away, self._limit = interval, interval_away, limit
        self._hung_after, self._gone_after = hung_after, gone_after
        self._restart, self._restart_after = restart, restart_after
        self._restarted: set[Backend] = set()
        self._http = Transport()
        self._wake, self._looked = anyio.Event(), anyio.Event()
        self._looking, self._looked_at = False, float("-inf")
        self._heartbeats: dict[Backend, tuple[float | None, float]] = {}
        self._not_ready_since: dict[Backend, float] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    @property
    def ready(self) -> bool:
        """Some backend would take a request now, as far as is known."""
        return any(backend.ready for backend in self.backends)

    @property
    def states(self) -> tuple[BackendState, ...]:
        return tuple(backend.state for backend in self.backends)

    def away_for(self) -> float:
        """Seconds since no backend is ready; 0 while one is, and before one ever was."""
        return 0.0 if self.away_since is None else anyio.current_time() - self.away_since

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Watch until cancelled."""
        task_status.started()
        while True:
            self._looking = True
            async with anyio.create_task_group() as looks:
                for backend in self.backends:
                    looks.start_soon(self._look, backend)
            self._looking, self._looked_at = False, anyio.current_time()
            looked, self._looked, self._wake = self._looked, anyio.Event(), anyio.Event()
            looked.set()
            all_ready = all(backend.ready for backend in self.backends)
            with anyio.move_on_after(self._interval if all_ready else self._interval_away):
                await self._wake.wait()

    async def probe(self) -> tuple[BackendState, ...]:
        """Look now, or join the look under way; bounded, and a caller that goes away harms none."""
        looked = self._looked
        self._look_soon()
        with anyio.move_on_after(3 * self._limit):
            await looked.wait()
        return self.states

    def answered(self, backend: Backend) -> None:
        """A request of ours got its answer there."""
        backend.answered_at = anyio.current_time()
        backend.failures = 0
        if not backend.ready:
            self._learn(backend, "ready", detail=None)

    def failed(self, backend: Backend, setback: Setback) -> None:
        """A request of ours failed there."""
        backend.failures += not isinstance(setback, Away)
        news = backend.ready and (isinstance(setback, Refused) or backend.failures >= _MOST_FAILURES)
        if news and isinstance(setback, Refused):
            self._learn(backend, "unreachable", detail="no connection")
        elif news:
            self._learn(backend, "unhealthy", detail=_FAILS)
        if news or anyio.current_time() - self._looked_at > _APART:
            self._look_soon()

    async def still_reads(self, backend: Backend, limit: float) -> bool:
        """Whether the backend reads a small picture of our own within `limit` seconds, the way it reads crops."""
        return await probe.reads(self._http, backend.url, self.model, limit)

    def _look_soon(self) -> None:
        if not self._looking:
            self._wake.set()

    async def _look(self, backend: Backend) -> None:
        began = anyio.current_time()
        found = await probe.look(self._http, backend.root, backend.url, self.model, self._limit)
        status: Status = found.status
        detail = found.detail
        if status == "unhealthy" and found.latency_ms is None and backend.answered_at >= began:
            status, detail = "ready", None  # too busy for /health, not for us
        if status == "ready" and await self._hangs(backend):
            status, detail = "hung", "requests are in flight and the engine makes no tokens"
        elif status == "ready" and await self._fails(backend):
            status, detail = "unhealthy", _FAILS
        if status != "ready" and backend.state.last_ready_at is None and found.model is None:
            status = "starting"
        fresh = replace(backend.state, model=found.model or backend.state.model, latency_ms=found.latency_ms)
        backend.state = replace(fresh, checked_at=_now())
        self._learn(backend, status, detail)
        self._let_go(backend)
        await self._begin_anew(backend)

    async def _fails(self, backend: Backend) -> bool:
        """Whether too many requests failed and it does not even read a small picture."""
        if backend.failures < _MOST_FAILURES:
            return False
        if await self.still_reads(backend, self._limit):
            backend.failures = 0
        return backend.failures >= _MOST_FAILURES

    async def _begin_anew(self, backend: Backend) -> None:
        hung_for = anyio.current_time() - self._not_ready_since.get(backend, float("inf"))
        if self._restart is None or backend in self._restarted or backend.state.status != "hung":
            return
        if hung_for >= self._restart_after:
            self._restarted.add(backend)
            if await self._restart(backend.url):
                backend.state = replace(backend.state, restarted_at=_now())
                log.warning("backend %s was hung for %.0f s and is restarted", backend.url, hung_for)

    async def _hangs(self, backend: Backend) -> bool:
        if backend.state.status == "hung":
            moved = await probe.generated_tokens(self._http, backend.root, self._limit) != self._heartbeats[backend][0]
            return not moved and not await self.still_reads(backend, self._limit)
        if backend.quiet_for() < self._hung_after / 2:
            self._heartbeats.pop(backend, None)
            return False
        now, tokens = anyio.current_time(), await probe.generated_tokens(self._http, backend.root, self._limit)
        seen, since = self._heartbeats.get(backend, (None, now))
        if tokens is None or tokens != seen:
            self._heartbeats[backend] = (tokens, now)
            return False
        return backend.quiet_for() >= self._hung_after and now - since >= self._hung_after / 2

    def _learn(self, backend: Backend, status: Status, detail: str | None) -> None:
        """Put down a backend's new status and what follows from it."""
        now = anyio.current_time()
        if status != backend.state.status:
            level = logging.INFO if status in ("ready", "starting") else logging.WARNING
            log.log(level, "backend %s is %s%s", backend.url, status, f": {detail}" if detail else "")
        last_ready_at = _now() if status == "ready" else backend.state.last_ready_at
        backend.state = replace(backend.state, status=status, detail=detail, last_ready_at=last_ready_at)
        if status == "ready":
            self._not_ready_since.pop(backend, None)
            self._restarted.discard(backend)
            self.ever_ready, self.away_since = True, None
        else:
            self._not_ready_since.setdefault(backend, now)
            if self.ever_ready and not self.ready and self.away_since is None:
                self.away_since = now

    def _let_go(self, backend: Backend) -> None:
        status, gone = backend.state.status, anyio.current_time() - self._not_ready_since.get(backend, float("inf"))
        if (status == "hung" or (status == "unreachable" and gone >= self._gone_after)) and backend.in_flight:
            log.warning("backend %s is %s: %d requests abandoned", backend.url, status, backend.abandon())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
