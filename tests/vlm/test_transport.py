from __future__ import annotations

import random
import re
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from vlm_harness import reading
from vlm_standin import Standin

from gateway.document import Task
from gateway.vlm import wire
from gateway.vlm.setbacks import Away, Broke, Refused
from gateway.vlm.transport import Transport

AT_ONCE = 8
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"


async def post(http: Transport, vlm: Standin, jpeg: bytes) -> int:
    body = wire.request(vlm.model, Task.OCR, wire.encoded(jpeg), pixels=True, stream=False)
    return (await http.post(f"{vlm.url}/chat/completions", body, {})).status


@pytest.fixture
async def http() -> AsyncIterator[Transport]:
    async with aclosing(Transport()) as transport:
        yield transport


@dataclass
class Peer:
    """A server whose every word the test says; `gone` is set when a connection has ended."""

    url: str = ""
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    gone: anyio.Event = field(default_factory=anyio.Event)

    async def until_gone(self) -> None:
        with anyio.fail_after(5):
            await self.gone.wait()


@asynccontextmanager
async def saying(*pieces: bytes, close: bool = False) -> AsyncIterator[Peer]:
    """Whose answer to every request comes in so many packets; with `close` it ends the connection then."""
    peer = Peer()

    async def answer(stream: SocketStream) -> None:
        peer.connections += 1
        incoming = BufferedByteReceiveStream(stream)
        async with stream:
            with suppress(anyio.IncompleteRead, anyio.BrokenResourceError):
                while not (close and peer.heads):
                    head = (await incoming.receive_until(b"\r\n\r\n", 4096)).decode()
                    length = re.search(r"content-length: (\d+)", head)
                    await incoming.receive_exactly(int(length[1]) if length else 0)
                    peer.heads.append(head)
                    for piece in pieces:
                        await stream.send(piece)
                        await anyio.sleep(0.01)
        peer.gone.set()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        peer.url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/v1/there"
        yield peer
        tasks.cancel_scope.cancel()


async def test_a_connection_is_used_again(http: Transport) -> None:
    """Requests one after another share one connection, and each says whom it is for."""
    async with saying(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") as peer:
        for _ in range(3):
            assert (await http.get(peer.url)).content == b"ok"
        answer = await http.post(peer.url, b"{}", {"x-request-id": "7"})
    assert (answer.status, answer.headers["content-length"], peer.connections) == (200, "2", 1)
    assert peer.heads[0].startswith(f"GET /v1/there HTTP/1.1\r\nhost: {peer.url.split('/')[2]}\r\n")
    assert "\r\nx-request-id: 7\r\ncontent-type: application/json\r\ncontent-length: 2" in peer.heads[3]


async def test_a_connection_that_its_server_closes_is_not_used_again(http: Transport) -> None:
    """Announced or not: the next request gets a new one."""
    for announced, close in ((b"connection: close\r\n", False), (b"", True)):
        async with saying(b"HTTP/1.1 200 OK\r\n" + announced + b"content-length: 2\r\n\r\nok", close=close) as peer:
            for number in (1, 2):
                peer.heads.clear()
                assert (await http.get(peer.url)).content == b"ok"
                await peer.until_gone()
                for _ in range(5):  # turns of the loop, in which the news comes
                    await anyio.lowlevel.checkpoint()
                peer.gone = anyio.Event()
                assert peer.connections == number


async def test_an_idle_connection_is_used_no_longer_than_its_server_keeps_it(
    http: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request must not meet the moment at which the server closes."""
    monkeypatch.setattr("gateway.vlm.transport._KEEP_ALIVE", 0.0)
    async with saying(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") as peer:
        await http.get(peer.url)
        await http.get(peer.url)
        assert peer.connections == 2


async def test_events_are_given_on_as_they_come(http: Transport) -> None:
    """Before the answer has ended, and across chunks that are cut anywhere."""
    chunks = (EVENTS + b"transfer-encoding: chunked\r\n\r\n", b"5\r\none, \r\n4\r", b"\ntwo,\r\n", b"0\r\n\r\n")
    heard: list[bytes] = []
    async with saying(*chunks) as peer:
        answer = await http.post(peer.url, b"{}", {}, lambda piece: bool(heard.append(piece)))
        await http.post(peer.url, b"{}", {})
    assert (heard, answer.content, answer.streamed, peer.connections) == ([b"one, ", b"two,"], b"", True, 1)


async def test_many_answers_are_looked_at_less_often(http: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes between two looks comes in one piece, to the last of it."""
    monkeypatch.setattr("gateway.vlm.transport._REST", 0.05)
    heard: list[bytes] = []
    words = [f"word {number} ".encode() for number in range(20)]
    chunks = [b"%x\r\n%b\r\n" % (len(word), word) for word in words]
    async with saying(EVENTS + b"transfer-encoding: chunked\r\n\r\n", *chunks, b"0\r\n\r\n") as peer:
        await http.post(peer.url, b"{}", {}, lambda piece: bool(heard.append(piece)))
        await http.get(peer.url)  # nothing is left paused
    assert b"".join(heard) == b"".join(words)
    assert len(heard) < len(words) / 2


async def test_enough_closes_the_connection(http: Transport) -> None:
    """The server hears at once that nobody listens any more."""
    async with saying(EVENTS + b"transfer-encoding: chunked\r\n\r\n5\r\none, \r\n") as peer:
        answer = await http.post(peer.url, b"{}", {}, lambda _: True)
        await peer.until_gone()
    assert answer.streamed


async def test_what_goes_wrong_with_the_events_comes_out(http: Transport) -> None:
    """And the connection is closed."""

    def confused(piece: bytes) -> bool:
        raise LookupError(piece)

    async with saying(EVENTS + b"transfer-encoding: chunked\r\n\r\n5\r\none, \r\n") as peer:
        with pytest.raises(LookupError, match="one, "):
            await http.post(peer.url, b"{}", {}, confused)
        await peer.until_gone()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 500 No\r\ncontent-type: text/event-stream\r\ncontent-length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\n",
    ],
)
async def test_an_answer_that_is_no_stream_of_results_comes_whole(http: Transport, head: bytes) -> None:
    """Errors, and backends that do not stream."""
    async with saying(head, b"he", b"llo") as peer:
        answer = await http.post(peer.url, b"{}", {}, lambda _: True)
    assert (answer.content, answer.streamed) == (b"hello", False)


async def test_an_answer_may_end_with_its_connection(http: Transport) -> None:
    """Where nothing says how long it is; where something does, its end is missing."""
    async with saying(b"HTTP/1.1 200 OK\r\n\r\n", b"all of it", close=True) as peer:
        assert (await http.get(peer.url)).content == b"all of it"
    async with saying(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", close=True) as peer:
        with pytest.raises(Broke, match="closed before the end"):
            await http.get(peer.url)


async def test_what_is_said_on_the_way_is_passed_over(http: Transport) -> None:
    """An interim answer comes before the real one (RFC 9110, 15.2)."""
    said = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    async with saying(said) as peer:
        answer = await http.get(peer.url)
    assert (answer.status, answer.content, dict(answer.headers)) == (200, b"ok", {"content-length": "2"})


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnot hexadecimal\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: %b\r\n" % (b"y" * 1000) * 100 + b"\r\n",
    ],
    ids=["another protocol", "no chunk", "endless head"],
)
async def test_what_is_no_http_is_a_broken_connection(http: Transport, nonsense: bytes) -> None:
    """Another attempt may do."""
    async with saying(nonsense) as peer:
        with pytest.raises(Broke):
            await http.get(peer.url)


async def test_an_answer_without_end_is_given_up(http: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """No backend fills the memory."""
    monkeypatch.setattr("gateway.vlm.connection._MOST_BYTES", 1000)
    async with saying(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 100] * 20) as peer:
        with pytest.raises(Broke):
            await http.get(peer.url)


async def test_credentials_in_the_address_are_sent(http: Transport) -> None:
    """As every client of HTTP does it."""
    async with saying(b"HTTP/1.1 204 None\r\n\r\n") as peer:
        await http.get(peer.url.replace("http://", "http://some%20one:secret@"))
    assert "\r\nauthorization: Basic c29tZSBvbmU6c2VjcmV0\r\n" in peer.heads[0]
    assert "\r\nhost: 127.0.0.1" in peer.heads[0]


async def test_a_storm_of_cancellations_leaves_nothing_behind(vlm: Standin, http: Transport, jpeg: bytes) -> None:
    """After hundreds of requests cancelled at random moments, nothing is in flight and all works as before."""
    rng, cancelled = random.Random(7), 0

    async def short_lived() -> None:
        nonlocal cancelled
        for _ in range(25):
            with anyio.move_on_after(rng.random() * 0.02) as scope:
                await post(http, vlm, jpeg)
            cancelled += scope.cancelled_caught

    async with anyio.create_task_group() as storm:
        for _ in range(4 * AT_ONCE):
            storm.start_soon(short_lived)
    await vlm.until(lambda: vlm.in_flight == 0)
    assert http.in_flight == 0
    vlm.fail(hang=True)
    async with anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE):
            tasks.start_soon(post, http, vlm, jpeg)
        await vlm.until(lambda: vlm.in_flight == AT_ONCE)
        vlm.heal()
    assert cancelled > 200


async def test_a_storm_of_cancelled_reads_leaves_every_seat_usable(vlm: Standin, jpeg: bytes) -> None:
    """Cancelled in a queue, in a thread, on the wire: a read gives back what it took."""
    rng = random.Random(7)
    async with reading(vlm.url, in_flight=AT_ONCE) as recognizer:

        async def short_lived() -> None:
            for _ in range(25):
                with anyio.move_on_after(rng.random() * 0.02):
                    await recognizer.read(lambda: jpeg, Task.OCR)

        async with anyio.create_task_group() as storm:
            for _ in range(4 * AT_ONCE):
                storm.start_soon(short_lived)
        await vlm.until(lambda: vlm.in_flight == 0)
        vlm.fail(hang=True)
        async with anyio.create_task_group() as tasks:
            for _ in range(AT_ONCE):
                tasks.start_soon(recognizer.read, lambda: jpeg, Task.OCR)
            await vlm.until(lambda: vlm.in_flight == AT_ONCE)
            vlm.heal()


async def test_a_refused_connection_is_told_from_a_lost_one(vlm: Standin, http: Transport, jpeg: bytes) -> None:
    """The first says that nobody is there, the second may be about the crop."""
    with pytest.raises(Refused):
        await post(http, Standin(), jpeg)
    vlm.fail(drop=True)
    with pytest.raises(Broke):
        await post(http, vlm, jpeg)


@pytest.mark.parametrize("url", ["http://127.0.0.1:port/v1", "ftp://127.0.0.1/v1", "127.0.0.1:8118/v1", "http://"])
async def test_what_is_no_address_is_refused(http: Transport, url: str) -> None:
    """Nobody is there."""
    with pytest.raises(Refused):
        await http.get(url)


async def test_a_host_that_takes_no_connection_is_away(http: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits longer than the limit for a connection."""
    monkeypatch.setattr("gateway.vlm.transport.CONNECT_LIMIT", 0.1)
    with ExitStack() as stack:
        port = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0)).getsockname()[1]
        for _ in range(3):  # more than it has room for
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(("127.0.0.1", port))
        with pytest.raises(Away) as away:
            await http.get(f"http://127.0.0.1:{port}/")
    assert not isinstance(away.value, Refused)
