"""One request that does work: admitted, bounded in time, and given up when its caller leaves."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio
from fastapi import Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from gateway import metrics, tally
from gateway.api.admission import Admission
from gateway.errors import BodyTooSlow, GatewayError, one_error
from gateway.hold import take

BODY_S = 20.0
"""Seconds that any body may take to arrive."""
BODY_BYTES_PER_S = 16 << 10
"""Those that have passed this many bytes may take a second longer for each."""

log = logging.getLogger(__name__)

Answer = Callable[[Send], Awaitable[None]]
"""Does the work and sends the whole response."""

Ending = Callable[[GatewayError], bytes]
"""The last bytes of a response that had begun when its work failed."""


class Exchange(Response):
    """Runs `prepare` (which may read the body), then the answer it gives, while the caller is there.

    A failure before the response begins leaves as an exception, for the handlers of `problems`; after that it is
    told by `ending`. A caller that leaves cancels everything that was begun on its behalf.
    """

    def __init__(self, admission: Admission, prepare: Callable[[Request], Awaitable[Answer]], ending: Ending) -> None:
        super().__init__()
        self._admission = admission
        self._prepare = prepare
        self._ending = ending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with self._admission.enter():
                answer = await self._prepare(Request(scope, _arriving(receive)))
                with one_error():
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(_until_gone, receive, tasks.cancel_scope)
                        await answer(watched)
                        tasks.cancel_scope.cancel()
        except ClientDisconnect:
            return
        except GatewayError as error:
            if not begun:
                raise
            metrics.ERRORS.labels(error.code).inc()
            tally.request().failed(error.code, error.detail)
            log.warning("request failed after its answer began: %s: %s", error.code, error.detail)
            await send({"type": "http.response.body", "body": self._ending(error), "more_body": False})


def _arriving(receive: Receive) -> Receive:
    """`receive` for a body that is counted, and that must keep coming."""
    deadline = anyio.current_time() + BODY_S

    async def counted() -> Message:
        nonlocal deadline
        try:
            with anyio.fail_at(deadline):
                message = await receive()
        except TimeoutError as exc:
            raise BodyTooSlow(f"The body came at less than {BODY_BYTES_PER_S >> 10} KiB a second.") from exc
        size = len(message.get("body", b""))
        take(size)
        deadline += size / BODY_BYTES_PER_S
        return message

    return counted


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
