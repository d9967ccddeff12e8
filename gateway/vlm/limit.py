"""How many requests a backend gets at once: as many as keep its batch full, and hardly any that only wait there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FIRST: Final = 64
"""A vLLM of PaddleOCR-VL is full at about as many."""

_NEWS: Final = 0.4

LEAST: Final = 4
MOST: Final = 256


@dataclass(frozen=True, slots=True)
class Load:
    """A backend at one moment, or over some: how many requests it is `running` and has `waiting`, whoever sent them,
    and how many of them, some on their way, are ours and `in_flight`."""

    in_flight: float
    running: float
    waiting: float

    def then(self, newer: Load) -> Load:
        """The mean in which the `newer` one has a weight of `_NEWS`: requests come and go in waves."""
        old, new = 1 - _NEWS, _NEWS
        return Load(
            old * self.in_flight + new * newer.in_flight,
            old * self.running + new * newer.running,
            old * self.waiting + new * newer.waiting,
        )


class Limit:
    """Grows while all that is allowed is used and nothing waits at the backend, shrinks to what runs when more waits
    there than keeps the batch full. It grows by an eighth, and twice as much each time that this was not enough.

    Where more than as many as run are on their way there, or being prepared, those over that count as waiting: a server
    may be bound by its own front end.
    """

    def __init__(self, first: int = FIRST, least: int = LEAST, most: int = MOST) -> None:
        self.value = first
        self._least, self._most = least, most
        self._growths = 3
        self._load: Load | None = None

    def look(self, now: Load, *, used: bool) -> bool:
        """Learn from a look at the backend, `used`: all that was allowed was in flight since the last one. True when
        the value is another one now."""
        before = self.value
        self._load = load = self._load.then(now) if self._load else now
        waiting = max(load.waiting, load.in_flight - 2 * load.running)
        enough = max(2.0, load.running / 8)
        if waiting > 2 * enough:
            # other gateways that share the backend see the same queue and take their part of it back
            ours = min(1.0, load.in_flight / max(1.0, load.running + load.waiting))
            self.value = round(load.in_flight - (waiting - enough) * ours)
            self._growths = 0
        elif used and load.waiting <= enough / 2:
            self.value += min(self.value, max(1, self.value * 2**self._growths // 8))
            self._growths = min(self._growths + 1, 3)
        elif used:
            self._growths = 0
        self.value = min(max(self.value, self._least), self._most)
        return self.value != before
