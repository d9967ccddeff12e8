"""Why one attempt came to nothing, for a reason that may pass. None of these leaves the room."""

from __future__ import annotations

from typing import ClassVar


class Setback(Exception):
    """`wait` seconds is how long the backend asked to be left alone, None if it did not say; `kind`: for metrics."""

    kind: ClassVar[str]

    def __init__(self, why: str, *, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class Away(Setback):
    """The backend takes no work: refused connections, 429, 503, shutting down. Never the crop's fault."""

    kind = "away"


class Refused(Away):
    """No connection came about: nothing listens there."""

    kind = "refused"


class Broke(Setback):
    """No whole answer came: reset, timed out, 5xx. The crop's fault or the backend's."""

    kind = "broke"


class TimedOut(Broke):
    """No answer within the time of one request."""

    kind = "timed_out"


class Garbled(Setback):
    """An answer came that is none: not JSON, not a completion, an unknown `finish_reason`."""

    kind = "garbled"


class PriorityRefused(Exception):
    """The backend does not schedule by priority and says so (the older engine of vLLM; the present one ignores it)."""


class PixelsRefused(Exception):
    """The backend lets no request set `mm_processor_kwargs` (vLLM 0.33.0 without `--trust-request-mm-kwargs`)."""
