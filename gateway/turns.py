"""Places for a bounded number at once, where turns go by document: a short one is not kept waiting by a long one."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from gateway import metrics, tally


@dataclass(frozen=True, slots=True, eq=False)
class Party:
    """Whose turn it is: one for each document. While a lower `priority` waits, no higher one gets a place."""

    priority: int = 0


EVERYBODY = Party()
"""For callers that do not tell documents apart."""


@dataclass(slots=True, eq=False)
class _Share:
    """What one party holds, who of it waits, and when it last got a place."""

    held: int = 0
    waiting: deque[anyio.Event] = field(default_factory=deque)
    served: int = 0


class Place:
    """A place that is held, after `waited` seconds; it may turn out to be as large as several."""

    def __init__(self, turns: Turns, share: _Share, waited: float) -> None:
        self._turns, self._share = turns, share
        self.size = 1
        self.waited = waited

    def grow(self, size: int) -> None:
        """Count as `size` places from now on. Waits for nobody: others wait until there is room again."""
        self._turns._take(self._share, size - self.size)
        self.size = size


class Turns:
    """So many places at once. A place that gets free goes to the party that holds the fewest, among equals to the one
    that has waited longest for its turn; within a party first come, first served.

    So a document of one page shares with one of a thousand as between two, and whoever asks for little gets it at once.
    `total` may be changed at any time. Waits are counted under the name of the `queue`, and for the request.
    """

    def __init__(self, total: int, queue: metrics.Queue | None = None) -> None:
        self._total = total
        self._queue = queue
        self._seconds = metrics.QUEUES[queue] if queue else None
        self._held = self._count = 0
        self._shares: dict[Party, _Share] = {}
        self._waiting: dict[Party, _Share] = {}

    @property
    def total(self) -> int:
        return self._total

    @total.setter
    def total(self, total: int) -> None:
        self._total = total
        self._hand_on()

    @property
    def held(self) -> int:
        """Places held now."""
        return self._held

    @property
    def waiting(self) -> int:
        """Those who wait for a place."""
        return sum(len(share.waiting) for share in self._waiting.values())

    @asynccontextmanager
    async def place(self, party: Party = EVERYBODY) -> AsyncIterator[Place]:
        """A place for the body of the `async with`. Cancelling the wait leaves no trace."""
        share = self._shares.setdefault(party, _Share())
        waited = 0.0
        if self._held < self._total and not self._waiting:
            self._take(share, 1)
        else:
            begun = anyio.current_time()
            await self._wait(party, share)
            waited = anyio.current_time() - begun
        place = Place(self, share, waited)
        try:
            if waited:
                tally.request().waited(self._queue or "", waited)
            if self._seconds is not None:
                self._seconds.observe(waited)
            yield place
        finally:
            self._take(share, -place.size)
            self._forget(party, share)
            self._hand_on()

    async def _wait(self, party: Party, share: _Share) -> None:
        turn = anyio.Event()
        share.waiting.append(turn)
        self._waiting[party] = share
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self._take(share, -1)
            else:
                share.waiting.remove(turn)
            self._forget(party, share)
            self._hand_on()
            raise

    def _hand_on(self) -> None:
        while self._waiting and self._held < self._total:
            party = min(self._waiting, key=self._rank)
            share = self._waiting[party]
            self._take(share, 1)
            share.waiting.popleft().set()
            if not share.waiting:
                del self._waiting[party]

    def _rank(self, party: Party) -> tuple[int, int, int]:
        share = self._waiting[party]
        return party.priority, share.held, share.served

    def _take(self, share: _Share, size: int) -> None:
        self._held += size
        share.held += size
        if size > 0:
            self._count += 1
            share.served = self._count

    def _forget(self, party: Party, share: _Share) -> None:
        if not share.waiting:
            self._waiting.pop(party, None)
            if not share.held:
                self._shares.pop(party, None)
