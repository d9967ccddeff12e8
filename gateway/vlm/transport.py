"""The way to the backends: HTTP/1.1 on connections that are used again, one request at a time on each.

A client of its own, because a region's cost is mostly this: `docs/transport.md` has its figures beside those of others.
A request that is cancelled closes its connection at once, at which vLLM stops generating.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final
from urllib.parse import unquote, urlsplit

import anyio
from pybase64 import b64encode_as_string

from gateway.vlm.connection import Connection, Events
from gateway.vlm.setbacks import Away, Refused

CONNECT_LIMIT: Final = 5.0
"""Seconds."""

_KEEP_ALIVE: Final = 3.0
"""Seconds after which an idle connection is not used again; vLLM closes it after 5.0, and a request must not meet that
moment."""

_REST: Final = 0.0001
"""Seconds between two looks at one answer, times the requests in flight: so many looks cost the loop a bounded part of
its time, however many tokens come, and each finds several of them."""

_LEAST_REST, _MOST_REST = 0.005, 0.05


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of any status; `streamed`: it was an event stream and went to `events`, and `content` is empty."""

    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes
    streamed: bool = False


class Transport:
    """Sends requests, any number at once."""

    def __init__(self) -> None:
        self._idle: dict[_Origin, list[Connection]] = {}
        self.in_flight = 0
        """Requests that have a connection and no whole answer."""

    async def aclose(self) -> None:
        """Close the idle connections."""
        for connections in self._idle.values():
            while connections:
                connections.pop().close()
        await asyncio.sleep(0)  # transports let go of their sockets in the loop's next turn

    async def get(self, url: str) -> Answer:
        """What is there. Raises as `post`."""
        return await self._exchange("GET", url, {}, b"", None)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], events: Events | None = None) -> Answer:
        """The answer to a body of JSON; redirects are not followed.

        An event stream with the status 200 goes to `events` as it comes. When that returns True, the connection is
        closed; what it raises comes out. Raises `Refused` or `Away` where no connection comes about, `Broke` where one
        is lost or what comes is no HTTP.
        """
        return await self._exchange("POST", url, headers, body, events)

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, events: Events | None
    ) -> Answer:
        address = _address(url)
        connection = self._take(address.origin) or await self._connect(address.origin)
        self.in_flight += 1
        try:
            reply = await connection.exchange(_head(method, address, headers, body), body, events)
        except BaseException:
            connection.close()
            raise
        finally:
            self.in_flight -= 1
        if connection.reusable:
            self._idle.setdefault(address.origin, []).append(connection)
        else:
            connection.close()
        return Answer(url, reply.status, reply.headers, b"".join(reply.pieces), reply.streamed)

    def _take(self, origin: _Origin) -> Connection | None:
        """The connection that was used last, if it was just now: the others were not since."""
        connections = self._idle.get(origin)
        while connections:
            connection = connections.pop()
            if connection.reusable and time.monotonic() - connection.idle_since < _KEEP_ALIVE:
                return connection
            connection.close()
        return None

    async def _connect(self, origin: _Origin) -> Connection:
        tls = _tls() if origin.secure else None
        try:
            with anyio.fail_after(CONNECT_LIMIT):
                loop = asyncio.get_running_loop()
                _, connection = await loop.create_connection(
                    lambda: Connection(self._rest), origin.host, origin.port, ssl=tls
                )
        except TimeoutError as exc:
            raise Away(f"no connection within {CONNECT_LIMIT:g} s") from exc
        except OSError as exc:
            raise Refused(f"no connection: {exc}") from exc
        return connection

    def _rest(self) -> float:
        rest = _REST * self.in_flight
        return 0.0 if rest < _LEAST_REST else min(rest, _MOST_REST)


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a connection goes to."""

    secure: bool
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class _Address:
    """A URL as requests need it; `fields` are the header lines that go with it."""

    origin: _Origin
    target: str
    fields: str


@lru_cache(maxsize=256)
def _address(url: str) -> _Address:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise Refused(f"no connection: {exc}") from exc
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused("no connection: the address is no URL of http or https")
    secure = parts.scheme == "https"
    fields = f"host: {parts.netloc.rpartition('@')[2]}\r\n"
    if parts.username is not None:
        word = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        fields += f"authorization: Basic {b64encode_as_string(word.encode())}\r\n"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Address(_Origin(secure, parts.hostname, port or (443 if secure else 80)), target, fields)


def _head(method: str, address: _Address, headers: Mapping[str, str], body: bytes) -> bytes:
    more = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if method == "POST":
        more += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    usual = f"{address.fields}accept: */*\r\naccept-encoding: identity\r\n"
    return f"{method} {address.target} HTTP/1.1\r\n{usual}{more}\r\n".encode("latin-1")


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
