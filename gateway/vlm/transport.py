"""httpx over aiohttp's connections, and the one place where their errors are translated.

httpx's own pool leaks connections when requests are cancelled, and this service cancels by design; `docs/transport.md`
has the figures.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from gateway.vlm.setbacks import Away, Broke, Refused

CONNECT_LIMIT: Final = 5.0
"""Seconds."""

_KEEP_ALIVE: Final = 3.0
"""Seconds an idle connection is kept; vLLM closes it after 5.0, and a request must not meet that moment."""

_PIECE: Final = 1 << 19
"""Bytes; aiohttp warns of bodies over 1 MiB in one piece, as writing them blocks the event loop."""


def open_client(connections: int) -> httpx.AsyncClient:
    """A client for backends: so many `connections` at once, no proxy from the environment, no cookies."""
    # the session brings its own TLS context; `verify` only keeps the transport from loading a second one
    transport = AiohttpTransport(client=partial(_session, connections), verify=False)
    return httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(None, connect=CONNECT_LIMIT), trust_env=False)


def _session(connections: int) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=connections, keepalive_timeout=_KEEP_ALIVE)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    """The body of a request, to be sent with a `Content-Length`."""
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


@contextmanager
def translated() -> Iterator[None]:
    """`Refused` or `Away` where no connection came about, `Broke` where one was lost."""
    try:
        yield
    except (httpx.TransportError, aiohttp.ClientError) as exc:
        # httpx-aiohttp 0.2.0 calls a refused connection and a lost one a ConnectTimeout alike; the cause tells
        if isinstance(exc.__cause__, aiohttp.ClientConnectorError):
            raise Refused(f"no connection: {exc}") from exc
        if isinstance(exc.__cause__, aiohttp.ConnectionTimeoutError):
            raise Away(f"no connection within {CONNECT_LIMIT:g} s") from exc
        raise Broke(f"connection lost: {exc}") from exc
