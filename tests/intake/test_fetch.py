"""Fetching over real sockets. The server here stands for everything inside that a caller must not reach."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import os
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.errors import FetchFailed, FetchRefused, InvalidRequest, TooLarge
from gateway.intake import addresses, fetch
from gateway.intake.addresses import Address
from gateway.intake.fetch import Fetcher


class Canary:
    """Answers by path, and remembers every connection and request."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[str] = []
        self.answers: dict[str, bytes] = {}
        self.asked = anyio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.requests.append(request)
            self.asked.set()
            answer = self.answers[request.split(" ")[1]]
            if answer:
                writer.write(answer)
            else:
                await reader.read()  # hangs until the client goes away
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    def url(self, path: str = "/page", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


def answer(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    canary = Canary()
    canary.answers["/page"] = answer(b"a document")
    server = await asyncio.start_server(canary.serve, "127.0.0.1", 0)
    canary.port = server.sockets[0].getsockname()[1]
    async with server:
        yield canary


def fetcher(max_bytes: int = 1000, allow_hosts: Sequence[str] = ("127.0.0.1",), **options: object) -> Fetcher:
    return Fetcher(max_bytes=max_bytes, allow_hosts=allow_hosts, **options)


class Names:
    """A name server: the answers to each name, one after another; remembers what was asked."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers = {name.replace("_", "."): list(addresses) for name, addresses in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[Address]:
        self.asked.append(host)
        return [ipaddress.ip_address(address) for address in self.answers[host].pop(0).split()]


async def test_a_document_is_fetched(canary: Canary) -> None:
    """The body of a 200 is the document; fragments and the environment's proxies play no part."""
    assert await fetcher().fetch(canary.url("/page#part")) == b"a document"
    assert canary.requests[0].startswith("GET /page HTTP/1.1\r\n")


# fmt: off
SPELLINGS = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0x7f.1", "0X7F000001",
    "0177.0.0.1", "0177.1", "017700000001", "0", "0.0.0.0", "0x0", "127.255.255.254", "127.127", "localhost",
    "LOCALHOST", "localhost.", "localhost.localdomain", "ip6-localhost", "127.0.0.1.", "127.000.000.001",
    "127.0.0.01", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::FFFF:127.0.0.1]", "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]", "[::7f00:1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::1]", "[fe80::1]", "[fe80::1%25lo]",
    "[fe80::1%lo]", "[fec0::1]", "[fc00::1]", "[ff02::1]", "user@127.0.0.1", "user:pass@127.0.0.1",
    "example.org@127.0.0.1", "example.org%40127.0.0.1", "example.org%00@127.0.0.1", "127。0。0。1", "127．0．0．1",
    "127｡0｡0｡1", "１２７.0.0.1", "①②⑦.0.0.1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "ｌｏｃａｌｈｏｓｔ", "%6c%6f%63%61%6c%68%6f%73%74",
    "127%2e0%2e0%2e1", "%31%32%37.0.0.1", "127.0.0.1%00", "127.0.0.1%09", "127.0.0.1\\",
    "127.0.0.1#@example.org", "example.org#@127.0.0.1", "127.0.0.1?@example.org", "\t127.0.0.1", "127.0.0.1 ",
    "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "0xa9fea9fe", "2852039166", "169.254.43518",
    "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "100.100.100.200", "192.0.0.192", "168.63.129.16",
    "224.0.0.1", "255.255.255.255", "198.18.0.1", "240.0.0.1",
]
# fmt: on


def test_the_table_of_spellings_is_long() -> None:
    """At least sixty, each once."""
    assert len(set(SPELLINGS)) == len(SPELLINGS) >= 60


@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_of_a_private_address_gets_through(
    canary: Canary, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However an inner address is written, it is refused on any port, and nothing inside sees a connection."""
    monkeypatch.setattr(addresses, "PUBLIC_PORTS", {canary.port})
    with pytest.raises((FetchRefused, FetchFailed, InvalidRequest)) as raised:
        await fetcher(allow_hosts=(), connect_timeout_s=0.5).fetch(canary.url(host=host))
    assert canary.connections == 0
    assert raised.type is not FetchFailed or "resolved" in raised.value.detail


async def test_every_address_of_a_name_must_be_allowed(canary: Canary) -> None:
    """A name with one public and one private address is refused as a whole."""
    names = Names(mixed_example=["93.184.216.34 127.0.0.1"])
    with pytest.raises(FetchRefused):
        await fetcher(allow_hosts=(), resolve=names).fetch(canary.url(host="mixed.example"))
    assert canary.connections == 0


async def test_the_judged_address_is_the_one_connected_to(canary: Canary) -> None:
    """A name is resolved once and asked under its own name, so a second answer would change nothing."""
    names = Names(docs_example=["127.0.0.1", "10.0.0.1"])
    assert await fetcher(resolve=names).fetch(canary.url(host="docs.example")) == b"a document"
    assert names.asked == ["docs.example"]
    assert f"\r\nHost: docs.example:{canary.port}\r\n" in canary.requests[0]


async def test_an_allowed_name_opens_what_it_resolves_to(canary: Canary) -> None:
    """The operator's names are reached although private, and only by that name."""
    assert await fetcher(allow_hosts=["LocalHost"]).fetch(canary.url(host="localhost")) == b"a document"
    with pytest.raises(FetchRefused):
        await fetcher(allow_hosts=["localhost"]).fetch(canary.url(host="127.0.0.1"))


async def test_the_next_address_is_tried(canary: Canary) -> None:
    """Of several addresses the first that takes the connection serves."""
    names = Names(docs_example=["127.0.0.2 127.0.0.1"])
    allowed = fetcher(allow_hosts=["127.0.0.0/8"], resolve=names)
    assert await allowed.fetch(canary.url(host="docs.example")) == b"a document"


async def test_redirects_are_followed_and_each_is_judged(canary: Canary) -> None:
    """A redirect is judged as if the caller had written its target."""
    canary.answers["/relative"] = answer(b"", "302 Found", Location="page")
    canary.answers["/out"] = answer(b"", "307 Temporary Redirect", Location=canary.url(host="outer.example"))
    canary.answers["/in"] = answer(b"", "301 Moved", Location=canary.url(host="inner.example"))
    canary.answers["/metadata"] = answer(b"", "302 Found", Location="http://169.254.169.254/latest/meta-data/")
    names = Names(outer_example=["127.0.0.1"] * 9, inner_example=["127.0.0.1"] * 9)
    allowed = fetcher(allow_hosts=["outer.example"], resolve=names)
    outer = canary.url("", host="outer.example")
    assert await allowed.fetch(outer + "/relative") == b"a document"
    assert await allowed.fetch(outer + "/out") == b"a document"
    with pytest.raises(FetchRefused):
        await allowed.fetch(outer + "/in")
    names.answers["169.254.169.254"] = ["169.254.169.254"]
    with pytest.raises(FetchRefused):
        await allowed.fetch(outer + "/metadata")


@pytest.mark.parametrize("target", ["s3://bucket/key", "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/"])
async def test_redirects_stay_on_the_web(canary: Canary, target: str) -> None:
    """No redirect leads to a file or, with the service's own keys, to the object store."""
    canary.answers["/away"] = answer(b"", "302 Found", Location=target)
    with pytest.raises(FetchRefused):
        await fetcher().fetch(canary.url("/away"))


async def test_redirects_end(canary: Canary) -> None:
    """Five redirects are followed, a sixth is not."""
    for left in range(1, 7):
        canary.answers[f"/{left}"] = answer(b"", "302 Found", Location=f"/{left - 1}" if left > 1 else "/page")
    assert await fetcher().fetch(canary.url("/5")) == b"a document"
    with pytest.raises(FetchFailed, match="redirects"):
        await fetcher().fetch(canary.url("/6"))


async def test_a_caller_password_stays_with_its_host(canary: Canary) -> None:
    """What the URL carries for one host is not sent on to another."""
    canary.answers["/out"] = answer(b"", "302 Found", Location=canary.url(host="other.example"))
    names = Names(docs_example=["127.0.0.1"], other_example=["127.0.0.1"])
    await fetcher(resolve=names).fetch(canary.url("/out", host="me:secret@docs.example"))
    assert "Authorization: Basic" in canary.requests[0]
    assert "Authorization" not in canary.requests[1]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/a",
        "file:///etc/passwd",
        "page.png",
        "",
        "//example.org/",
        "s3:key",
        "s3://b/k",
        "javascript:0",
    ],
)
async def test_other_schemes_are_the_callers_mistake(url: str) -> None:
    """Only http, https and, where there is a store, s3 are taken."""
    with pytest.raises(InvalidRequest, match=r"^url: "):
        await fetcher().fetch(url)


@pytest.mark.parametrize("url", ["http://", "http:///page", "http://[::1", "http://a:b/", "http:x", "http://\0/"])
async def test_malformed_urls_are_the_callers_mistake(url: str) -> None:
    """A URL that cannot be read names `url`."""
    with pytest.raises(InvalidRequest, match=r"^url: "):
        await fetcher().fetch(url)


@pytest.mark.parametrize("status", ["204 No Content", "206 Partial", "304 Not Modified", "404 Not Found", "500 Oops"])
async def test_only_200_gives_a_document(canary: Canary, status: str) -> None:
    """Any other status has failed, and what the server said is not passed on."""
    canary.answers["/no"] = answer(b"" if status[0] == "3" or status[:3] == "204" else b"internal words", status)
    with pytest.raises(FetchFailed) as raised:
        await fetcher().fetch(canary.url("/no"))
    assert status[:3] in raised.value.detail
    assert "internal" not in raised.value.detail


@pytest.mark.parametrize(
    "reply",
    [
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut",
        answer(b"x", Content_Encoding="br"),
        answer(b"no gzip", Content_Encoding="gzip"),
        answer(gzip.compress(b"cut")[:-9], Content_Encoding="gzip"),
        answer(b"", "302 Found", Location="http://[::1"),
    ],
    ids=["no http", "cut", "unasked encoding", "no gzip", "cut gzip", "bad redirect"],
)
async def test_broken_answers_have_failed(canary: Canary, reply: bytes) -> None:
    """A server that breaks off or talks nonsense has not given the document."""
    canary.answers["/broken"] = reply
    with pytest.raises(FetchFailed):
        await fetcher().fetch(canary.url("/broken"))


async def test_unreachable_hosts_have_failed(canary: Canary) -> None:
    """No listener, or no such name, is a failed fetch."""
    with pytest.raises(FetchFailed):
        await fetcher().fetch("http://127.0.0.1:1/")
    with pytest.raises(FetchFailed, match="resolved"):
        await fetcher().fetch("http://does-not-exist.invalid/")
    with pytest.raises(FetchFailed, match="resolved"):
        await fetcher().fetch(f"http://{'a' * 64}.example/")


async def test_gzip_is_inflated_within_the_limit(canary: Canary) -> None:
    """An answer that comes compressed all the same is inflated, and a bomb is cut at the limit."""
    canary.answers["/small"] = answer(gzip.compress(b"a document"), Content_Encoding="gzip")
    canary.answers["/bomb"] = answer(gzip.compress(bytes(50_000_000)), Content_Encoding="gzip")
    assert await fetcher().fetch(canary.url("/small")) == b"a document"
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge) as raised:
            await fetcher(max_bytes=100_000).fetch(canary.url("/bomb"))
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert raised.value.code == "body_too_large"


async def test_too_large_is_cut_off(canary: Canary) -> None:
    """The limit holds with and without a declared length, to the byte; the rest is not waited for."""
    canary.answers["/fits"] = answer(bytes(1000))
    canary.answers["/declared"] = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + bytes(1001)
    canary.answers["/endless"] = b"HTTP/1.1 200 OK\r\n\r\n" + bytes(1001)
    assert len(await fetcher().fetch(canary.url("/fits"))) == 1000
    for path in ("/declared", "/endless"):
        with pytest.raises(TooLarge):
            await fetcher().fetch(canary.url(path))


async def test_a_fetch_ends_in_time(canary: Canary) -> None:
    """A server that takes the request and says nothing is given up."""
    canary.answers["/hang"] = b""
    with pytest.raises(FetchFailed, match=r"within 0\.2 s"):
        await fetcher(timeout_s=0.2).fetch(canary.url("/hang"))


async def test_a_trickle_is_given_up(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends a byte now and then, or nothing after its head, does not hold a request for a minute."""
    monkeypatch.setattr(fetch, "SILENCE_S", 0.3)
    trickling = anyio.Event()

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        try:
            while not trickling.is_set():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            return
        finally:
            writer.close()

    async with await asyncio.start_server(trickle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(FetchFailed, match="slowly"):
            await fetcher(max_bytes=1 << 20).fetch(f"http://127.0.0.1:{port}/")
        trickling.set()
    canary.answers["/silent"] = b""
    with pytest.raises(FetchFailed, match="broke off"):
        await fetcher().fetch(canary.url("/silent"))


async def test_a_name_server_that_does_not_answer_is_not_waited_for(canary: Canary) -> None:
    """A name must be resolved within the time of a connection."""

    async def asleep(host: str, port: int) -> list[Address]:
        await anyio.sleep_forever()
        return []

    with pytest.raises(FetchFailed, match="resolved"):
        await fetcher(resolve=asleep, connect_timeout_s=0.1).fetch(canary.url(host="slow.example"))


async def test_other_ports_of_the_internet_are_refused(canary: Canary) -> None:
    """A caller cannot have the service knock at mail servers and databases, nor by a redirect."""
    names = Names(mail_example=["93.184.216.34"])
    with pytest.raises(FetchRefused, match="port"):
        await fetcher(resolve=names).fetch("http://mail.example:25/")
    names.answers |= {"mail.example": ["93.184.216.34"], "inner": ["127.0.0.1"]}
    canary.answers["/away"] = answer(b"", "302 Found", Location="http://mail.example:25/")
    with pytest.raises(FetchRefused, match="port"):
        await fetcher(resolve=names, allow_hosts=("inner",)).fetch(canary.url("/away", host="inner"))


async def test_cancelled_fetches_leave_nothing_open(canary: Canary) -> None:
    """A caller who goes away takes the connection along."""
    canary.answers["/hang"] = b""
    fetch = fetcher().fetch
    await fetch(canary.url())
    before = len(os.listdir("/dev/fd"))
    for index in range(20):
        canary.asked = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fetch, canary.url("/hang"))
            if index % 2:
                await canary.asked.wait()
            else:
                await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    with anyio.fail_after(5):
        while len(os.listdir("/dev/fd")) > before:  # noqa: ASYNC110  # the other side closes a moment later
            await anyio.sleep(0.01)


async def test_environment_proxies_are_not_used(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment would resolve names anew, out of sight; it is left aside."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert await fetcher().fetch(canary.url()) == b"a document"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for docs.example, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "docs.example")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("docs.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    plain = serialization.NoEncryption()
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return path


async def test_tls_is_verified_against_the_name(certificate: Path) -> None:
    """Although the connection goes to an address, the certificate must be the name's, and the name is asked for."""
    seen: list[str | None] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: seen.append(name)
    secret = Canary()
    secret.answers["/page"] = answer(b"a document")
    server = await asyncio.start_server(secret.serve, "127.0.0.1", 0, ssl=context)
    secret.port = server.sockets[0].getsockname()[1]
    names = Names(docs_example=["127.0.0.1"] * 2, other_example=["127.0.0.1"])
    trusting = fetcher(resolve=names, tls=ssl.create_default_context(cafile=str(certificate)))
    async with server:
        assert await trusting.fetch(secret.url(host="docs.example", scheme="https")) == b"a document"
        with pytest.raises(FetchFailed):
            await trusting.fetch(secret.url(host="other.example", scheme="https"))
        with pytest.raises(FetchFailed):
            await fetcher(resolve=names).fetch(secret.url(host="docs.example", scheme="https"))
    assert seen == ["docs.example", "other.example", "docs.example"]
    assert len(secret.requests) == 1
