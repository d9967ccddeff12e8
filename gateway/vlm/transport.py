"""The way to the backends: aiohttp's connections, and the one place where its errors are translated.

httpx's own pool leaks connections when requests are cancelled, and this service cancels by design; `docs/transport.md`
has the figures.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp

from gateway.vlm.setbacks import Away, Broke, Refused

CONNECT_LIMIT: Final = 5.0
"""Seconds."""

_KEEP_ALIVE: Final = 3.0
"""Seconds an idle connection is kept; vLLM closes it after 5.0, and a request must not meet that moment."""

_PIECE: Final = 1 << 19
"""Bytes; aiohttp warns of bodies over 1 MiB in one piece, as writing them blocks the event loop."""

_LARGE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of any status."""

    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes


def open_session(connections: int) -> aiohttp.ClientSession:
    """For backends: so many `connections` at once (0: any number), no proxy from the environment, no cookies."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=_KEEP_ALIVE),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"accept-encoding": "identity"},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_LIMIT),
    )


async def get(http: aiohttp.ClientSession, url: str) -> Answer:
    """What is there. Raises `Away` and `Broke`."""
    with translated():
        async with http.get(url, allow_redirects=False) as response:
            return await whole(response)


async def whole(response: aiohttp.ClientResponse) -> Answer:
    """The answer to its end."""
    return Answer(str(response.url), response.status, response.headers, await response.read())


def payload(body: bytes) -> bytes | AsyncIterator[bytes]:
    """The body of a request, which has a `Content-Length` of its own."""
    return body if len(body) < _LARGE else _pieces(body)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


@contextmanager
def translated() -> Iterator[None]:
    """`Refused` or `Away` where no connection came about, `Broke` where one was lost."""
    try:
        yield
    except aiohttp.ClientConnectorError as exc:
        raise Refused(f"no connection: {exc}") from exc
    except aiohttp.ConnectionTimeoutError as exc:
        raise Away(f"no connection within {CONNECT_LIMIT:g} s") from exc
    except aiohttp.ClientError as exc:
        raise Broke(f"connection lost: {exc or type(exc).__name__}") from exc
