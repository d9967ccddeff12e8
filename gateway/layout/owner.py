"""The one thread that owns the layout model, and how pages get to it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import Self

from anyio import AsyncContextManagerMixin, CapacityLimiter, Event, create_task_group, from_thread, to_thread
from structlog.contextvars import get_contextvars

from gateway.document import AS_THE_MODEL_DOES, Detection, Pixels, Region
from gateway.errors import GatewayError, LayoutFailed, LayoutUnavailable, ShuttingDown
from gateway.layout.detector import AdjustableDetector, Detector

log = logging.getLogger(__name__)

Answer = tuple[Region, ...] | GatewayError


@dataclass(slots=True, eq=False)
class _Turn:
    """One page on its way through the model; whoever settles it first has settled it."""

    pixels: Pixels
    detection: Detection
    context: Context = field(default_factory=copy_context)
    """Of its request, for lines in the log."""
    done: Event = field(default_factory=Event)
    regions: tuple[Region, ...] = ()
    error: GatewayError | None = None

    @property
    def request_id(self) -> str:
        return str(self.context.run(get_contextvars).get("request_id", ""))

    def settle(self, answer: Answer) -> None:
        if isinstance(answer, GatewayError):
            self.error = answer
        else:
            self.regions = answer
        self.done.set()


class Layout(AsyncContextManagerMixin):
    """A detector behind an async face.

    `async with Layout(load)` starts a thread that calls `load` and from then on alone touches the detector; it does
    not wait for it: `ready` says when it is there, and `failure`, for operators, why it is not. Pages that came while
    the model was busy are taken together, as many as the detector likes, in the order they came. Leaving lets the
    pages in the model finish, refuses the waiting ones and abandons a load that is still going on.
    """

    def __init__(self, load: Callable[[], Detector]) -> None:
        self._load = load
        self._waiting: deque[_Turn] = deque()
        self._arrived = Event()
        self._taken: Sequence[_Turn] = ()
        self._settled = Event()
        self._name: str | None = None
        self._adjustable = False
        self._max_batch = 1
        self._closing = False
        self._ended = False
        self.failure: str | None = None

    @property
    def ready(self) -> bool:
        """True while pages are being served."""
        return self._name is not None and not self._over

    @property
    def name(self) -> str:
        """The detector's name. Raises `LayoutUnavailable` before it is loaded."""
        if self._name is None:
            raise self._refusal()
        return self._name

    @property
    def adjustable(self) -> bool:
        """True when the detector is loaded and its rules may be changed for a page."""
        return self._adjustable

    @property
    def max_batch(self) -> int:
        """How many pages the detector takes at once; 1 before it is loaded."""
        return self._max_batch

    async def wait_ready(self) -> None:
        """Wait until the detector is loaded. Raises `LayoutUnavailable` if it cannot be, `ShuttingDown` at the end."""
        await self._settled.wait()
        if self._over:
            raise self._refusal()

    async def detect(self, pixels: Pixels, detection: Detection = AS_THE_MODEL_DOES) -> tuple[Region, ...]:
        """The page's regions in reading order; while the detector loads, waits for it.

        `detection` is for an `adjustable` detector; others fail on a page that wants it otherwise.
        Raises `LayoutFailed` if the detector fails on this page, `LayoutUnavailable` if there is none, and
        `ShuttingDown`. A caller cancelled before its page is taken costs nothing, one cancelled later its own answer.
        """
        if self._over:
            raise self._refusal()
        turn = _Turn(pixels, detection)
        self._waiting.append(turn)
        self._arrived.set()
        try:
            await turn.done.wait()
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)
        if turn.error is not None:
            raise turn.error
        return turn.regions

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        async with create_task_group() as tasks:
            tasks.start_soon(self._own)
            try:
                yield self
            finally:
                self._closing = True
                self._refuse(self._waiting)
                self._arrived.set()
                if not self._settled.is_set():
                    tasks.cancel_scope.cancel()

    @property
    def _over(self) -> bool:
        return self._closing or self.failure is not None

    def _refusal(self) -> GatewayError:
        if self._closing:
            return ShuttingDown("The service is shutting down.")
        return LayoutUnavailable("There is no layout model." if self.failure else "The layout model is still loading.")

    def _refuse(self, turns: Sequence[_Turn]) -> None:
        for turn in turns:
            turn.settle(self._refusal())

    async def _own(self) -> None:
        """Run the thread; whatever ends it, nobody is left waiting."""
        try:
            await to_thread.run_sync(self._serve, abandon_on_cancel=True, limiter=CapacityLimiter(1))
        except (Exception, SystemExit) as exc:  # the detector's own: any library's
            log.exception("The layout model is gone.")
            self.failure = exc.detail if isinstance(exc, GatewayError) else f"The layout model is gone: {exc!r}"
        finally:
            self._ended = True
            self._closing = self._closing or self.failure is None
            self._refuse([*self._taken, *self._waiting])
            self._settled.set()

    def _serve(self) -> None:
        """In the thread: load, then answer batch after batch until there are no more."""
        detector = self._load()
        answers: list[Answer] = []
        if not self._ended:  # abandoned, for all this thread knows the event loop is closed
            from_thread.run_sync(self._open, detector)
        while not self._ended and (turns := from_thread.run(self._exchange, answers, detector.max_batch)):
            answers = _answers(detector, turns)

    def _open(self, detector: Detector) -> None:
        log.info("Layout model loaded: %s.", detector.name)
        self._name, self._max_batch = detector.name, detector.max_batch
        self._adjustable = isinstance(detector, AdjustableDetector)
        self._settled.set()

    async def _exchange(self, answers: Sequence[Answer], most: int) -> Sequence[_Turn]:
        """Settle the pages in the model and take the next of one detection, at most so many; none at the end."""
        for turn, answer in zip(self._taken, answers, strict=True):
            turn.settle(answer)
        self._taken = ()
        while not self._waiting and not self._closing:
            self._arrived = Event()
            await self._arrived.wait()
        if not self._closing:
            same = takewhile(lambda turn: turn.detection == self._waiting[0].detection, self._waiting)
            self._taken = list(islice(same, most))
            for _ in self._taken:
                self._waiting.popleft()
        return self._taken


def _answers(detector: Detector, turns: Sequence[_Turn]) -> list[Answer]:
    """An answer for each page; if the detector fails on several, each is tried alone, and fails alone."""
    try:
        found = _detected(detector, [turn.pixels for turn in turns], turns[0].detection)
        if len(found) != len(turns):
            raise ValueError(f"{len(found)} answers for {len(turns)} pages")
        return list(found)
    except Exception as exc:
        if len(turns) > 1:
            words = "Layout of %d pages failed together, so each is tried alone: %r"
            log.warning(words, len(turns), exc, extra={"request_ids": [turn.request_id for turn in turns]})
            return [answer for turn in turns for answer in _answers(detector, [turn])]
        turns[0].context.run(log.exception, "Layout of a page failed.")
        failed = LayoutFailed("The layout model failed on this page.")
        failed.__cause__ = exc
        return [failed]


def _detected(detector: Detector, pages: Sequence[Pixels], detection: Detection) -> list[tuple[Region, ...]]:
    if detection == AS_THE_MODEL_DOES:
        return detector.detect(pages)
    if not isinstance(detector, AdjustableDetector):
        raise ValueError(f"{detector.name} cannot find regions otherwise than it does")
    return detector.detect_as(pages, detection)
