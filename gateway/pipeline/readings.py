"""The reading of one region as others see it: a span, and a line in the log where it failed."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from gateway import tally, traces
from gateway.assemble import failure
from gateway.document import Failure, Page, Planned, Recognition
from gateway.errors import RegionFailed
from gateway.pipeline.results import Outcome
from gateway.tally import Read

log = logging.getLogger(__name__)


async def read_watched(
    page: Page,
    index: int,
    item: Planned,
    read: Callable[[], Awaitable[Recognition]],
    taken: Read,
    outcomes: dict[int, Outcome],
) -> None:
    """Puts into `outcomes` what `read` makes of region `index` of the plan, or why it cannot be read, and into `taken`
    what that took. Raises `BackendError`."""
    region = item.region
    with (
        tally.reading(taken),
        traces.span("region", page=page.number, region=index, label=region.label, bbox=region.bbox) as span,
    ):
        tokens = {}
        try:
            outcomes[index] = outcome = await read()
            tokens = {"prompt_tokens": outcome.prompt_tokens, "completion_tokens": outcome.completion_tokens}
        except RegionFailed as error:
            outcomes[index] = Failure(error.code, error.detail)
            taken.cause = cause_of(error)
        finally:
            span.set(attempts=taken.attempts, backend=taken.backend, wait_seat_ms=taken.waited_ms, **tokens)
        failed = failure(outcomes[index])
        span.set(outcome=failed.code if failed else "ok")
        if failed:
            span.fail(failed.code, failed.detail)
            span.set(cause=taken.cause)
            tell_failure(page, index, item, failed, taken)


def tell_failure(page: Page, index: int, item: Planned, failed: Failure, taken: Read) -> None:
    """The log's line about a region that could not be read, or not to its end."""
    told = {
        "page": page.number,
        "region": index,
        "label": item.region.label,
        "bbox": item.region.bbox,
        "code": failed.code,
        "detail": failed.detail,
        "cause": taken.cause,
        "attempts": taken.attempts,
        "backend": taken.backend,
    }
    log.warning("region %d of page %d failed: %s", index, page.number, failed.code, extra=told)


def cause_of(error: BaseException) -> str:
    """What was behind an error; "" if nothing was."""
    cause = error.__cause__
    return "" if cause is None else f"{type(cause).__name__}: {cause}"
