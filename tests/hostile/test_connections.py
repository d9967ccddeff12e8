"""What callers do to connections: no HTTP, floods, slowness, silence, requests sent ahead."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import documents
import pytest
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from running import Gateway, gateway
from vlm_standin import Standin

from gateway import connection
from gateway.api import exchange

PNG = documents.png("Hello")
POST = b"POST /ocr HTTP/1.1\r\nHost: a\r\n"
GET = b"GET /health HTTP/1.1\r\nHost: a\r\n"


@asynccontextmanager
async def wired() -> AsyncIterator[Gateway]:
    async with Standin() as vlm, gateway(vlm.url) as running:
        yield running
        assert (await running.ocr(PNG)).status_code == 200
        assert running.admission.admitted == 0


async def told(stream: SocketStream) -> tuple[int, str]:
    """Status and code of the problem that comes, after which the connection is closed."""
    got = b""
    with anyio.fail_after(20):
        try:
            while True:
                got += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            head, _, body = got.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    problem = json.loads(body)
    assert problem["request_id"].encode() in head
    return int(head.split()[1]), problem["code"]


async def asked(running: Gateway, *pieces: bytes) -> tuple[int, str]:
    async with await anyio.connect_tcp("127.0.0.1", running.port) as stream:
        for piece in pieces:
            await stream.send(piece)
        return await told(stream)


async def status(stream: SocketStream) -> int:
    """The status of the next answer, which is read to its end."""
    reader = BufferedByteReceiveStream(stream)
    with anyio.fail_after(20):
        head = (await reader.receive_until(b"\r\n\r\n", 1 << 16)).decode().lower()
        if "chunked" in head:
            while await reader.receive_until(b"\r\n", 100) != b"0":
                await reader.receive_until(b"\r\n", 1 << 20)
            await reader.receive_until(b"\r\n", 2)
        else:
            await reader.receive_exactly(int(head.partition("content-length: ")[2].split()[0]))
    assert not reader.buffer
    return int(head.split()[1])


NO_HTTP = {
    "a word": b"hello\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a path that is not ASCII": b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
    "a header name that is not ASCII": GET + b"X\xff: a\r\n\r\n",
    "a nought in a header": GET + b"X: a\0b\r\n\r\n",
    "a blank before the colon": POST + b"Content-Length : 5\r\n\r\nabcde",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "a negative length": POST + b"Content-Length: -5\r\n\r\nabc",
    "a length in words": POST + b"Content-Length: many\r\n\r\nabc",
    "a length without end": POST + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
    "an encoding that is none": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "chunks of garbage": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
}


async def test_what_is_no_http_is_told_so() -> None:
    """400 as a problem with an id of its own, and the connection is closed."""
    async with wired() as running:
        for name, data in NO_HTTP.items():
            status, code = await asked(running, data)
            assert (status, code) in ((400, "malformed_http"), (501, "malformed_http")), name


async def test_heads_chunks_and_trailers_without_end_are_cut() -> None:
    """64 KiB are read of each; the caller can read why although it still sends."""
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    floods = {
        "headers": (POST, *[b"X: %s\r\n" % (b"a" * 1000)] * 2000),
        "a header": (POST + b"X: ", *[b"a" * 100_000] * 20),
        "a path": (b"GET /", *[b"a" * 100_000] * 20),
        "a chunk's extension": (chunked, *[b"1;" + b"a" * 100_000] * 20),
        "trailers": (chunked + b"1\r\na\r\n0\r\n", *[b"X: " + b"a" * 10_000 + b"\r\n"] * 200),
    }
    async with wired() as running:
        for name, pieces in floods.items():
            assert await asked(running, *pieces) == (431, "headers_too_large"), name


async def test_a_slow_head_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that does not end is told 408; a connection without a word is closed without one."""
    monkeypatch.setattr(connection, "HEAD_S", 0.3)
    async with wired() as running:
        assert await asked(running, POST) == (408, "request_timeout")
        async with await anyio.connect_tcp("127.0.0.1", running.port) as silent:
            with anyio.fail_after(20), pytest.raises(anyio.EndOfStream):
                await silent.receive()


async def test_a_slow_body_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body must keep coming; one that trickles gives its place back."""
    monkeypatch.setattr(exchange, "BODY_S", 0.3)
    async with wired() as running:
        assert await asked(running, POST + b"Content-Length: 1000\r\n\r\n", b"abc") == (408, "request_timeout")


async def test_the_rest_of_an_unwanted_body_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an early answer a caller may finish its body and go on; one that never does is cut off."""
    monkeypatch.setattr(connection, "LINGER_S", 0.3)
    announced = b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
    async with wired() as running, await anyio.connect_tcp("127.0.0.1", running.port) as stream:
        await stream.send(announced)
        assert await status(stream) == 404
        await stream.send(b"abc" + GET + b"\r\n")
        assert await status(stream) == 200
        await stream.send(announced)
        assert await status(stream) == 404
        with anyio.fail_after(20), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            while True:
                await stream.receive()


async def test_a_caller_that_does_not_take_its_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long answer that nobody takes does not stay in memory."""
    monkeypatch.setattr(connection, "STALL_S", 0.5)
    text = "\n".join(f"line {number} of many" for number in range(150_000))
    async with Standin(answer=lambda asked: text) as vlm, gateway(vlm.url) as running:
        vlm.streams = False  # a token at a time takes a minute
        with socket.socket() as silent:  # nobody reads from it
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            silent.connect(("127.0.0.1", running.port))
            silent.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(PNG) + PNG)
            await vlm.until(lambda: bool(vlm.requests))
            with anyio.fail_after(30):
                while running.connections():  # noqa: ASYNC110
                    await anyio.sleep(0.1)
        assert running.admission.admitted == 0


async def test_requests_sent_ahead_are_answered_but_not_hoarded() -> None:
    """A thousand requests in one go are answered in order; behind one that waits no more is read than the
    connection's buffers hold."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        async with await anyio.connect_tcp("127.0.0.1", running.port) as stream:
            await stream.send((GET + b"\r\n") * 1000)
            got = b""
            while got.count(b"HTTP/1.1 200") < 1000:
                got += await stream.receive()
        vlm.fail(hang=True)
        async with await anyio.connect_tcp("127.0.0.1", running.port) as stream:
            await stream.send(POST + b"Content-Length: %d\r\n\r\n" % len(PNG) + PNG)
            await vlm.until(lambda: vlm.in_flight == 1)
            sent = 0
            while True:
                with anyio.move_on_after(0.5) as waiting:
                    await stream.send((GET + b"\r\n") * 1000)
                if waiting.cancelled_caught:
                    break
                sent += 1000
                assert sent < 1_000_000, "everything is read"
            vlm.heal()
        assert (await running.ocr(PNG)).status_code == 200


async def test_idle_connections_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many connections are held open, the next caller gets in, and one that is being served stays."""
    monkeypatch.setattr(connection, "MOST", 8)
    async with Standin() as vlm, gateway(vlm.url) as running, anyio.create_task_group() as tasks:
        vlm.fail(hang=True)
        answers = []

        async def send() -> None:
            answers.append((await running.ocr(PNG)).status_code)

        tasks.start_soon(send)
        await vlm.until(lambda: vlm.in_flight == 1)
        held = [await anyio.connect_tcp("127.0.0.1", running.port) for _ in range(20)]
        async with await anyio.connect_tcp("127.0.0.1", running.port) as stream:
            await stream.send(GET + b"\r\n")
            assert await status(stream) == 200
        vlm.heal()
        for each in held:
            await each.aclose()
    assert answers == [200]


async def test_an_offer_to_upgrade_does_not_lose_the_body() -> None:
    """Java's client offers HTTP/2 with every POST; the document is read all the same."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
    async with wired() as running, await anyio.connect_tcp("127.0.0.1", running.port) as stream:
        await stream.send(POST + offer + b"Content-Length: %d\r\n\r\n" % len(PNG) + PNG)
        assert await status(stream) == 200


async def test_no_path_forges_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    """What a caller escapes in a path stays escaped in the log."""
    caplog.set_level("INFO", "gateway.access")
    async with Standin() as vlm, gateway(vlm.url) as running:
        await running.http.get("/a%0aFORGED%1b[31m")
    (line,) = (record.getMessage() for record in caplog.records if "FORGED" in record.getMessage())
    assert line == "GET /a%0aFORGED%1b[31m 404" or line == "GET /a%0AFORGED%1B[31m 404"
