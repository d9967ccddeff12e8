"""A caller's connection: bounded in what it may send ahead and in the time it may take.

The parser is h11: it bounds a head, chunk headers and trailers by itself, and reads a request that offers an upgrade to
the end (httptools does neither; Java's client offers HTTP/2 with every POST).
"""

from __future__ import annotations

import asyncio
import logging
import resource
import sys
import uuid
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway import metrics
from gateway.api.problems import problem

HEAD_BYTES = 64 << 10
"""A request line with its headers; a chunk's header; trailers."""
AHEAD_BYTES = 1 << 20
"""What a caller may send before the answer to its last request is out."""
HEAD_S = 20.0
"""For a head, from its first byte, and for the first byte of a connection."""
LINGER_S = 30.0
"""For the rest of a body that was answered before it was all there."""
REFUSED_S = 5.0
"""For a caller to read a refusal while it still sends: closing at once would take it back (a reset overtakes it)."""
STALL_S = 30.0
"""For the caller to take anything of an answer."""
MOST = max(64, min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))
"""Connections at once; the other descriptors are for documents, workers and backends."""

log = logging.getLogger(__name__)


class Connection(H11Protocol):
    """`check` is to be called about once a second: it ends what takes too long."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._head_since: float | None = self.loop.time()
        self._answered_at = self._moved_at = self._head_since
        self._unsent = 0
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        if self._refused or self.transport.is_closing():
            return
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._head_since = None
        elif self._head_since is None:
            self._head_since = self.loop.time()
        if self.conn.their_state is h11.DONE and len(self.conn.trailing_data[0]) > AHEAD_BYTES:
            self._end("too many requests were sent ahead")

    def on_response_complete(self) -> None:
        self._answered_at = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is told as a problem, if nothing else was told yet."""
        error = sys.exception()
        large = isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 431
        if large:
            self._refuse(431, "headers_too_large", f"The head is larger than {HEAD_BYTES >> 10} KiB.")
        else:
            self._refuse(400, "malformed_http", "This is no valid HTTP/1.1 request.")

    def check(self) -> None:
        """Close the connection if its caller takes too long over a head, an unwanted body, or an answer."""
        now = self.loop.time()
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent or not unsent:
            self._unsent, self._moved_at = unsent, now
        elif now - self._moved_at > STALL_S:
            self._end("the answer is not taken")
        if self.transport.is_closing():
            return
        if self._refused:
            if now - self._answered_at > REFUSED_S:
                self.transport.abort()
        elif self._head_since is not None and now - self._head_since > HEAD_S:
            if self.conn.trailing_data[0]:
                self._refuse(408, "request_timeout", f"The head did not come within {HEAD_S:g} seconds.")
            else:
                self.transport.close()
        elif self._lingers and now - self._answered_at > LINGER_S:
            self._end("the rest of the body does not end")

    @property
    def idle(self) -> bool:
        """Nobody works for this connection."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def _lingers(self) -> bool:
        return self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY

    def _make_room(self) -> None:
        """The connection that has been idle longest goes; where none is, this one."""
        others = (each for each in self.connections if isinstance(each, Connection) and each.idle and each is not self)
        longest = min(others, key=lambda each: each._answered_at, default=self)
        longest._end(f"{MOST} connections are open")

    def _end(self, why: str) -> None:
        log.info("connection closed: %s", why)
        self.transport.abort()

    def _refuse(self, status: int, code: str, detail: str) -> None:
        request_id = uuid.uuid4().hex
        if self.cycle is not None and not self.cycle.response_complete:  # whoever works on it need not go on
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = problem(status, code, detail, request_id, {"Connection": "close", "X-Request-ID": request_id})
            head = h11.Response(status_code=status, headers=answer.raw_headers, reason=b"")
            for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        metrics.REQUESTS.labels("other", str(status)).inc()
        log.info("refused: %s", code, extra={"status": status, "request_id": request_id})
        self._refused, self._answered_at = True, self.loop.time()
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        self.transport.write_eof()
