"""Documents from a caller's URL. What it may reach is judged by address, and what was judged is what is connected to.

A name is resolved once and the connection is made to the addresses that were looked at, while the request and the TLS
handshake keep the name; so a second, different answer of the caller's name server changes nothing.
"""

from __future__ import annotations

import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import cached_property, partial
from ipaddress import ip_address

import anyio
import anyio.to_thread
import httpx

from gateway import metrics
from gateway.errors import FetchFailed, FetchRefused, InvalidRequest, TooLarge
from gateway.hold import take
from gateway.intake.addresses import Address, Allowed
from gateway.intake.s3 import ObjectStore
from gateway.traces import span

REDIRECTS = 5
CONNECT_ATTEMPTS = 3  # of the addresses behind one name
SILENCE_S = 15.0
"""For a server to send something, and before its rate is looked at."""
LEAST_BYTES_PER_S = 1024
RESOLVED_AT_ONCE = 16

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


class _Resolver:
    """Asks the system, in threads of its own: names whose servers do not answer hold up nobody but their callers."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(RESOLVED_AT_ONCE)

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """The addresses behind a name, in the system's order; of every spelling of one that the system takes, too."""
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await anyio.to_thread.run_sync(look_up, limiter=self._limiter, abandon_on_cancel=True)
        return list(dict.fromkeys(ip_address(str(address[0])) for *_, address in found))


class Fetcher:
    """Fetches `http`, `https` and `s3` URLs.

    `allow_hosts` are names, addresses or networks that may be reached although they are private. `timeout_s` bounds
    a fetch as a whole, redirects included. `tls` replaces the usual certificate authorities.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        allow_hosts: Iterable[str] = (),
        store: ObjectStore | None = None,
        timeout_s: float = 60,
        connect_timeout_s: float = 5,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._allowed = Allowed(allow_hosts)
        self._store = store
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._timeout = httpx.Timeout(min(SILENCE_S, timeout_s), connect=connect_timeout_s)
        self._resolve = resolve or _Resolver()
        self._given_tls = tls

    async def fetch(self, url: str) -> bytes:
        """The document behind `url`.

        Raises `InvalidRequest` for a URL that is malformed, of another scheme, or `s3://` without a store,
        `FetchRefused` where it, or a redirect, leads to an address, port or bucket that is not allowed, `TooLarge` as
        soon as more than `max_bytes` have come, `Overloaded` when there is no room for them, and `FetchFailed` for
        all else.
        """
        with (
            metrics.outcome(metrics.FETCHES, "fetched"),
            metrics.FETCH_SECONDS.time(),
            span("fetch", "CLIENT", **{"url.full": _without_secrets(url)}),
        ):
            return await self._fetch(url)

    async def _fetch(self, url: str) -> bytes:
        scheme = url.partition(":")[0].lower()
        try:
            with anyio.fail_after(self._timeout_s):
                if scheme == "s3":
                    return await self._from_store(url)
                if scheme in ("http", "https"):
                    return await self._from_web(_parsed(url))
        except TimeoutError as exc:
            raise FetchFailed(f"the document did not come within {self._timeout_s:g} s") from exc
        raise InvalidRequest("url: the scheme must be http, https or s3")

    async def _from_store(self, url: str) -> bytes:
        if self._store is None:
            raise InvalidRequest("url: s3:// needs an object store, and none is configured")
        bucket, _, key = url[len("s3://") :].partition("/")
        if not (url[2:5] == "://" and bucket and key):
            raise InvalidRequest("url: s3:// wants a bucket name and a key (s3://bucket/key)")
        return await self._store.get(bucket, key, self._max_bytes)

    async def _from_web(self, url: httpx.URL) -> bytes:
        for _ in range(REDIRECTS + 1):
            async with self._asked(url) as response:
                if response.has_redirect_location:
                    url = _redirected(url, response.headers["Location"])
                    continue
                if response.status_code != 200:
                    raise FetchFailed(f"the URL's server answered {response.status_code}")
                return await _body(response, self._max_bytes)
        raise FetchFailed(f"the URL redirects more than {REDIRECTS} times")

    @asynccontextmanager
    async def _asked(self, url: httpx.URL) -> AsyncIterator[httpx.Response]:
        """One request, to the first of the judged addresses that takes the connection."""
        addresses = await self._addresses(url)
        # a client for each request: pooled connections would be shared between names on one address, and leak when
        # requests are cancelled
        transport = httpx.AsyncHTTPTransport(verify=self._tls, trust_env=False)
        async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=self._timeout) as client:
            try:
                response = await _first_connected(client, url, addresses)
                try:
                    yield response
                finally:
                    await response.aclose()
            except (httpx.HTTPError, zlib.error) as exc:
                raise FetchFailed("the URL's server could not be reached or broke off") from exc

    async def _addresses(self, url: httpx.URL) -> Sequence[Address]:
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            with anyio.fail_after(self._connect_timeout_s):
                addresses = await self._resolve(_host(url), port)
        except (OSError, UnicodeError) as exc:  # a TimeoutError is an OSError
            raise FetchFailed("the URL's host could not be resolved") from exc
        if not all(self._allowed.allows(_host(url), address, port) for address in addresses):
            raise FetchRefused("the URL points to an address or a port that is not open to callers")
        return addresses[:CONNECT_ATTEMPTS]

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._given_tls or httpx.create_ssl_context()


def _without_secrets(url: str) -> str:
    """The URL as others may see it: no query, which often is a signature, no fragment and no password."""
    scheme, _, rest = url.partition("?")[0].partition("#")[0].partition("//")
    host, slash, path = rest.partition("/")
    return f"{scheme}//{host.rpartition('@')[2]}{slash}{path}"[:500]


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as exc:  # half a surrogate pair is no text
        raise InvalidRequest("url: it is malformed") from exc
    if not parsed.raw_host:
        raise InvalidRequest("url: it names no host")
    return parsed


def _redirected(url: httpx.URL, location: str) -> httpx.URL:
    try:
        target = url.join(location)
    except (httpx.InvalidURL, ValueError) as exc:
        raise FetchFailed("the URL's server redirects to a malformed URL") from exc
    if target.scheme not in ("http", "https") or not target.raw_host:
        raise FetchRefused("the URL redirects to something that is not http or https")
    return target


def _host(url: httpx.URL) -> str:
    """As it goes to the resolver: ASCII, IDNA-encoded, without brackets."""
    return url.raw_host.decode("ascii")


async def _first_connected(client: httpx.AsyncClient, url: httpx.URL, addresses: Sequence[Address]) -> httpx.Response:
    headers = {
        "Host": url.netloc.decode("ascii"),
        "User-Agent": "paddleocr-vl-service",
        "Accept": "*/*",
        "Accept-Encoding": "identity",  # documents are compressed already
    }
    failure: httpx.HTTPError = httpx.ConnectError("no address")
    for address in addresses:
        pinned = url.copy_with(host=str(address), fragment=None)
        request = client.build_request("GET", pinned, headers=headers, extensions={"sni_hostname": _host(url)})
        try:
            return await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
            failure = exc
    raise failure


async def _body(response: httpx.Response, max_bytes: int) -> bytes:
    """The body, inflated if the server would not send it plain; never more than `max_bytes` of it in memory."""
    inflate = _inflater(response.headers.get("Content-Encoding", ""))
    data = bytearray()
    begun, came = anyio.current_time(), 0
    async for piece in response.aiter_raw():
        came += len(piece)
        elapsed = anyio.current_time() - begun
        if elapsed > SILENCE_S and came < elapsed * LEAST_BYTES_PER_S:
            raise FetchFailed("the document comes too slowly")
        before = len(data)
        data += piece if inflate is None else inflate.decompress(piece, max_bytes + 1 - len(data))
        if len(data) > max_bytes:
            raise TooLarge(f"the document is larger than the {max_bytes} bytes that are read")
        take(len(data) - before)
    if inflate is not None and not inflate.eof:
        raise FetchFailed("the URL's server broke off")
    return bytes(data)


def _inflater(encoding: str) -> zlib._Decompress | None:
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(zlib.MAX_WBITS | 32)  # either header
        case _:
            raise FetchFailed("the URL's server sent an encoding that was not asked for")
