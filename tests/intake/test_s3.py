"""Objects over HTTP, from a moto server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
import boto3
import pytest
from moto.server import ThreadedMotoServer

from gateway.errors import FetchFailed, FetchRefused, InvalidRequest, TooLarge
from gateway.intake.fetch import Fetcher
from gateway.intake.s3 import ObjectStore


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
    )
    client.create_bucket(Bucket="documents")
    for key, body in {"a/page.png": b"a document", "one/ü %20?x=1#2 .pdf": b"odd", "large": bytes(1_000_000)}.items():
        client.put_object(Bucket="documents", Key=key, Body=body)
    yield url
    server.stop()


def store(endpoint: str, **options: object) -> ObjectStore:
    return ObjectStore(endpoint_url=endpoint, access_key_id="k", secret_access_key="s", **options)


def fetcher(endpoint: str, max_bytes: int = 1_000_000, **options: object) -> Fetcher:
    return Fetcher(max_bytes=max_bytes, store=store(endpoint, **options))


async def test_an_object_is_fetched(endpoint: str) -> None:
    """`s3://bucket/key` is the object, from the store's own address, private or not."""
    assert await fetcher(endpoint).fetch("s3://documents/a/page.png") == b"a document"


async def test_keys_are_taken_as_they_are_written(endpoint: str) -> None:
    """Blanks, percent signs, question and hash marks belong to the key."""
    assert await fetcher(endpoint).fetch("S3://documents/one/ü %20?x=1#2 .pdf") == b"odd"


async def test_many_objects_at_once(endpoint: str) -> None:
    """More fetches than threads at once are all served, by one client."""
    fetch = fetcher(endpoint, threads=2).fetch
    async with anyio.create_task_group() as tasks:
        results: list[bytes] = []

        async def one() -> None:
            results.append(await fetch("s3://documents/a/page.png"))

        for _ in range(8):
            tasks.start_soon(one)
    assert results == [b"a document"] * 8


async def test_large_objects_are_cut_off(endpoint: str) -> None:
    """The limit holds to the byte."""
    assert len(await fetcher(endpoint, 1_000_000).fetch("s3://documents/large")) == 1_000_000
    with pytest.raises(TooLarge):
        await fetcher(endpoint, 999_999).fetch("s3://documents/large")


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3://documents",
        "s3://documents/",
        "s3:///key",
        "s3:documents/key",
        "s3://a b/key",
        "s3://x/key",
        "s3://arn:aws:s3:us-east-1:123456789012:accesspoint:x/key",
        "s3://user@documents/key",
    ],
)
async def test_what_names_no_object_is_the_callers_mistake(endpoint: str, url: str) -> None:
    """An s3 URL has a bucket and a key; an ARN, which would lead to another host, is no bucket."""
    with pytest.raises(InvalidRequest, match=r"^url: "):
        await fetcher(endpoint).fetch(url)


async def test_only_buckets_that_an_operator_allows_are_read(endpoint: str) -> None:
    """Others are refused without asking the store, whether they exist or not."""
    assert await fetcher(endpoint, allow_buckets=["documents"]).fetch("s3://documents/a/page.png") == b"a document"
    for bucket in ("documents", "no-such-bucket"):
        with pytest.raises(FetchRefused, match="bucket"):
            await fetcher("http://127.0.0.1:1", allow_buckets=["invoices"]).fetch(f"s3://{bucket}/a/page.png")


@pytest.mark.parametrize("url", ["s3://documents/missing", "s3://no-such-bucket/key"])
async def test_missing_objects_have_failed(endpoint: str, url: str) -> None:
    """What is not there is said not to be there, and no more."""
    with pytest.raises(FetchFailed, match="no such object") as raised:
        await fetcher(endpoint).fetch(url)
    assert endpoint not in raised.value.detail


async def test_a_store_that_is_away_has_failed() -> None:
    """Nobody listening is a failed fetch without a word of the endpoint or its keys."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(FetchFailed) as raised:
        await fetcher(f"http://127.0.0.1:{port}").fetch("s3://documents/key")
    assert str(port) not in raised.value.detail


@contextmanager
def store_that_answers(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A store, by name, that takes one connection and does with it what it is told."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://localhost:{listener.getsockname()[1]}"
        thread.join()


async def test_refused_access_has_failed() -> None:
    """A store that answers 403 has not given the object; its words stay inside. The bucket is asked for in the path."""
    requests: list[bytes] = []

    def refuse(connection: socket.socket) -> None:
        requests.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 12\r\nConnection: close\r\n\r\ninner secret")

    with (
        store_that_answers(refuse) as url,
        pytest.raises(FetchFailed, match="refused access") as raised,
    ):
        await fetcher(url).fetch("s3://documents/key")
    assert "secret" not in raised.value.detail
    assert requests[0].startswith(b"GET /documents/key HTTP/1.1")


async def test_a_silent_store_does_not_hold_the_caller() -> None:
    """A store that takes the request and says nothing is given up in time, although its thread still waits."""
    given_up = threading.Event()
    in_time: list[bool] = []
    with store_that_answers(lambda _connection: in_time.append(given_up.wait(5))) as url:
        with pytest.raises(FetchFailed, match=r"within 0\.3 s"):
            await Fetcher(max_bytes=10, store=store(url), timeout_s=0.3).fetch("s3://documents/key")
        given_up.set()
    assert in_time == [True]
