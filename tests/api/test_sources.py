"""Documents that are fetched: `http(s)` URLs and `s3://` objects, through the whole service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import documents
import pytest
from moto.server import ThreadedMotoServer
from running import gateway
from vlm_standin import Standin

PNG = documents.png("Hello")


class Documents(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/page.png")
            self.end_headers()
            return
        self.send_response(200 if self.path == "/page.png" else 404)
        self.end_headers()
        self.wfile.write(PNG)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""


@pytest.fixture
def web() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Documents)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def store() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=url, aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1"
    )
    client.create_bucket(Bucket="scans")
    client.put_object(Bucket="scans", Key="in/page 1.png", Body=PNG)
    client.close()
    yield url
    server.stop()


async def test_a_document_behind_a_url_is_read(web: str) -> None:
    """An allowed host gives the document, over a redirect too; what is not there is 502."""
    async with Standin() as vlm, gateway(vlm.url, fetch_allow_hosts="127.0.0.1") as running:
        for path, status in (("/page.png", 200), ("/moved", 200), ("/nowhere", 502)):
            answer = await running.http.post("/ocr", json={"url": web + path})
            assert answer.status_code == status, path
        assert len(vlm.requests) == 2


async def test_a_private_host_that_is_not_named_is_refused(web: str) -> None:
    """Without `FETCH_ALLOW_HOSTS` nothing on loopback is reached."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        answer = await running.http.post("/ocr", json={"url": f"{web}/page.png"})
    assert (answer.status_code, answer.json()["code"]) == (403, "fetch_refused")


async def test_an_object_of_the_store_is_read(store: str) -> None:
    """Any S3-compatible endpoint will do; an object that is not there is 502, and no secret is told."""
    settings = {"s3_endpoint_url": store, "aws_access_key_id": "key", "aws_secret_access_key": "hush-hush"}
    async with Standin() as vlm, gateway(vlm.url, **settings) as running:
        answer = await running.http.post("/ocr", json={"url": "s3://scans/in/page 1.png"})
        assert answer.status_code == 200
        missing = await running.http.post("/ocr", json={"url": "s3://scans/in/page 2.png"})
    assert (missing.status_code, missing.json()["code"]) == (502, "fetch_failed")
    assert "hush" not in missing.text
