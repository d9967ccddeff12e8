"""One connection to a backend: httptools' parser on the event loop's own transport, and one request at a time.

An answer comes as an event for each token, and a client that wakes its caller for each pays for the whole stack of
callers each time. Here the events go to a function, and the caller wakes once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

import httptools

from gateway.vlm.setbacks import Broke

_MOST_BYTES: Final = 64 << 20
"""Of one answer."""

_MOST_HEADER_BYTES: Final = 64 << 10

Events = Callable[[bytes], bool]
"""Takes what comes of an event stream, piece by piece; True when that is enough."""


@dataclass(slots=True)
class Reply:
    """What of an answer has come."""

    events: Events | None
    whole: asyncio.Future[None]
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0
    streamed: bool = False
    complete: bool = False


class Connection(asyncio.Protocol):
    """One connection; `rest` says how many seconds to leave an event stream alone after a piece of it."""

    def __init__(self, rest: Callable[[], float]) -> None:
        self._loop = asyncio.get_running_loop()
        self._rest = rest
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._reply: Reply | None = None
        self._open = False
        self._kept = True
        self.idle_since = 0.0

    async def exchange(self, head: bytes, body: bytes, events: Events | None) -> Reply:
        """The answer to a request. Whatever this raises, the connection is to be closed."""
        self._reply = reply = Reply(events, self._loop.create_future())
        if not self._open:
            raise Broke("connection lost: it was closed before the request")
        self._transport.writelines((head, body) if body else (head,))
        await reply.whole
        self.idle_since = time.monotonic()
        return reply

    @property
    def reusable(self) -> bool:
        """True where another request may be sent: nothing of the last one is left on either way."""
        return self._open and self._kept and self._reply is None and not self._transport.get_write_buffer_size()

    def close(self) -> None:
        """At once, whatever is on its way."""
        self._reply = None
        if self._open:
            self._open = False
            self._transport.abort()

    # ---- asyncio's protocol
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._open = cast(asyncio.Transport, transport), True  # uvloop's are no instances of it

    def data_received(self, data: bytes) -> None:
        if (reply := self._reply) is None:
            self.close()  # nobody asked
            return
        enough = False
        try:
            self._parser.feed_data(data)
            if reply.streamed and reply.pieces and reply.events is not None:
                piece = b"".join(reply.pieces)
                reply.pieces.clear()
                enough = reply.events(piece)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self._end(Broke(f"connection lost: what came is no HTTP that is understood ({type(exc).__name__})"))
        except Exception as exc:  # of `events`, for the caller
            self._end(exc)
        else:
            if reply.complete or enough:
                self._kept = self._kept and reply.complete
                self._end()
            elif reply.streamed and (rest := self._rest()):
                self._transport.pause_reading()
                self._loop.call_later(rest, self._read_on)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open = False
        if (reply := self._reply) is None:
            return
        ends_here = not {"content-length", "transfer-encoding"} & reply.headers.keys()
        if exc is None and reply.status and ends_here:
            self._end()
        else:
            self._end(Broke(f"connection lost: {exc or 'it was closed before the end of the answer'}"))

    def _read_on(self) -> None:
        if self._open and not self._transport.is_closing():
            self._transport.resume_reading()

    def _end(self, error: Exception | None = None) -> None:
        reply, self._reply = self._reply, None
        if reply is None or reply.whole.done():
            return
        if error is None:
            reply.whole.set_result(None)
        else:
            reply.whole.set_exception(error)

    # ---- httptools' protocol
    def on_header(self, name: bytes, value: bytes) -> None:
        if (reply := self._reply) is not None:
            reply.size += len(name) + len(value)
            if reply.size > _MOST_HEADER_BYTES:
                raise ValueError("the head is too large")
            reply.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if (reply := self._reply) is not None:
            reply.status = self._parser.get_status_code()
            kind = reply.headers.get("content-type", "")
            reply.streamed = reply.events is not None and reply.status == 200 and kind.startswith("text/event-stream")
            self._kept = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        if (reply := self._reply) is not None:
            reply.size += len(body)
            if reply.size > _MOST_BYTES:
                raise ValueError("the answer is too large")
            reply.pieces.append(body)

    def on_message_complete(self) -> None:
        if (reply := self._reply) is not None:
            if reply.status < 200:  # said on the way; the answer comes after it
                reply.status = 0
                reply.headers.clear()
            else:
                reply.complete = True
