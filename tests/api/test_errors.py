"""Every row of the contract's table of errors, reached as a caller reaches it; the next request is always served."""

from __future__ import annotations

import base64
import socket
from typing import Any

import anyio
import documents
import httpx
import pytest
from running import Gateway, gateway
from vlm_standin import Standin

PNG = documents.png("Hello")
PDF = documents.pdf(["Hello"] * 3)


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a problem, whose form is checked on the way."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "code", "request_id", "error"}
    assert body["status"] == answer.status_code
    assert body["error"] == body["detail"] != ""
    assert body["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, body["code"]


async def still_serves(running: Gateway) -> None:
    assert (await running.ocr(PNG)).status_code == 200


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


BAD_DOCUMENTS: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "empty_document"),
    "half a PNG": (PNG[: len(PNG) // 2], 400, "corrupt_document"),
    "half a JPEG": (documents.jpeg("Hello")[:2000], 400, "corrupt_document"),
    "half a PDF": (PDF[:300], 400, "corrupt_document"),
    "an encrypted PDF": (documents.encrypted_pdf(), 400, "encrypted_document"),
    "text": (b"Just some words, no document.", 415, "unsupported_document"),
    "an archive": (b"PK\x03\x04" + bytes(100), 415, "unsupported_document"),
    "too many pixels": (documents.png("", (2000, 600)), 413, "too_many_pixels"),
    "too many pages": (documents.pdf([""] * 5), 413, "too_many_pages"),
}


async def test_bad_documents_have_their_errors_in_every_transport() -> None:
    """What is wrong with the bytes is told the same however they came, and harms nobody after."""
    async with Standin() as vlm, gateway(vlm.url, max_pixels=1_000_000, max_pages=4) as running:
        for name, (data, status, code) in BAD_DOCUMENTS.items():
            answers = [
                await running.ocr(data, {"content-type": "application/pdf"}),
                await running.http.post("/ocr", files={"file": ("document", data)}),
                await running.http.post("/ocr", json={"image": encoded(data)}),
            ]
            assert [problem(answer) for answer in answers] == [(status, code)] * 3, name
        await still_serves(running)


MULTIPART = {"content-type": "multipart/form-data; boundary=B"}
PART = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n'

BAD_REQUESTS: dict[str, tuple[dict[str, Any], str]] = {
    "JSON that is none": ({"content": b"{", "headers": {"content-type": "application/json"}}, "JSON"),
    "deep JSON": ({"content": b"[" * 100_000, "headers": {"content-type": "application/json"}}, "JSON"),
    "no object": ({"json": [1]}, "object"),
    "a member twice": (
        {"content": b'{"url":"http://a","url":"http://b"}', "headers": {"content-type": "application/json"}},
        "JSON",
    ),
    "neither image nor url": ({"json": {}}, "image, url"),
    "both image and url": ({"json": {"image": encoded(PNG), "url": "http://a/b"}}, "image, url"),
    "an unknown member": ({"json": {"image": encoded(PNG), "dpi": 300}}, "dpi"),
    "an unknown field": ({"files": {"file": PNG}, "data": {"dpi": "300"}}, "dpi"),
    "an unknown query": ({"content": PNG, "params": {"dpi": "300"}}, "dpi"),
    "an option twice": ({"content": PNG, "params": [("pages", "1"), ("pages", "2")]}, "pages"),
    "a query beside a form": ({"files": {"file": PNG}, "params": {"pages": "1"}}, "pages"),
    "no file": ({"files": {"document": PNG}}, "file"),
    "two files": ({"files": [("file", PNG), ("file", PNG)]}, "file"),
    "a file without a name": ({"files": {"file": (None, PNG)}}, "file"),
    "multipart without a boundary": ({"content": PART, "headers": {"content-type": "multipart/form-data"}}, "boundary"),
    "multipart cut short": ({"content": PART, "headers": MULTIPART}, "file"),
    "not multipart": ({"content": b"hello", "headers": MULTIPART}, "multipart"),
    "a bad flag": ({"content": PNG, "params": {"layout": "perhaps"}}, "layout"),
    "a bad task": ({"content": PNG, "params": {"layout": "false", "task": "translate"}}, "task"),
    "a task with layout": ({"content": PNG, "params": {"task": "table"}}, "task"),
    "a bad language": ({"content": PNG, "params": {"language": "russian"}}, "language"),
    "bad images": ({"content": PNG, "params": {"images": "all"}}, "images"),
    "pages out of range": ({"content": PDF, "params": {"pages": "4"}}, "pages"),
    "pages malformed": ({"content": PDF, "params": {"pages": "1-"}}, "pages"),
    "page nought": ({"content": PDF, "params": {"pages": "0"}}, "pages"),
    "a scheme we do not fetch": ({"json": {"url": "ftp://example.org/a.pdf"}}, "scheme"),
    "no URL": ({"json": {"url": "not a url"}}, "url"),
    "a store that is not there": ({"json": {"url": "s3://bucket/key"}}, "s3"),
}


async def test_wrong_requests_are_told_what_is_wrong() -> None:
    """422 names the option or the part, and the next request is served."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        for name, (call, word) in BAD_REQUESTS.items():
            answer = await running.http.post("/ocr", **call)
            assert problem(answer) == (422, "invalid_request"), (name, answer.text)
            assert word.lower() in answer.json()["detail"].lower(), (name, answer.json()["detail"])
        await still_serves(running)


async def test_broken_base64_is_400() -> None:
    """What is no base64 is no document."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        for text in ("%%%", "data:image/png;base64,@@@@", "a"):
            assert problem(await running.http.post("/ocr", json={"image": text})) == (400, "invalid_base64")


async def test_other_content_types_are_415() -> None:
    """A content type that is none of the three ways is refused, whatever the bytes."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/zip"):
            assert problem(await running.ocr(PNG, {"content-type": kind})) == (415, "unsupported_content_type")


async def test_a_body_over_the_limit_is_413_with_and_without_its_length() -> None:
    """The limit holds for what was announced and for what comes."""
    body = bytes((1 << 20) + 1)

    async def unannounced() -> Any:
        for start in range(0, len(body), 1 << 16):
            yield body[start : start + (1 << 16)]

    async with Standin() as vlm, gateway(vlm.url, max_body_mb=1) as running:
        answers = [
            await running.ocr(body),
            await running.http.post("/ocr", content=unannounced()),
            await running.http.post("/ocr", json={"image": encoded(body)}),
            await running.http.post("/ocr", files={"file": ("a", body)}),
            await running.http.post("/ocr", files={"file": ("a", body * 3)}),
        ]
        assert [problem(answer) for answer in answers] == [(413, "body_too_large")] * 5
        await still_serves(running)


async def test_urls_that_lead_inside_are_403_and_dead_ones_502() -> None:
    """A private address is refused before anything is sent there; an allowed host that fails is the store's fault."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    async with Standin() as vlm, gateway(vlm.url, fetch_allow_hosts="127.0.0.1") as running:
        inside = await running.http.post("/ocr", json={"url": "http://169.254.169.254/latest/meta-data/"})
        dead = await running.http.post("/ocr", json={"url": f"http://127.0.0.1:{closed}/a.pdf"})
    assert problem(inside) == (403, "fetch_refused")
    assert problem(dead) == (502, "fetch_failed")


async def test_unknown_paths_methods_and_forms() -> None:
    """404, 405 and 406 are problems as well."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        assert problem(await running.http.get("/nowhere")) == (404, "not_found")
        answer = await running.http.get("/ocr")
        assert problem(answer) == (405, "method_not_allowed")
        assert answer.headers["allow"] == "POST"
        assert problem(await running.ocr(PNG, {"accept": "text/html"})) == (406, "not_acceptable")


async def test_with_keys_all_but_health_wants_one() -> None:
    """401 with its challenge; either header opens; health stays open for probes."""
    async with Standin() as vlm, gateway(vlm.url, gateway_api_keys="one, two") as running:
        for path in ("/metrics", "/docs", "/openapi.json", "/nowhere", "/healthy"):
            answer = await running.http.get(path)
            assert problem(answer) == (401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/health", "/health/live", "/health/ready", "/health/vllm"):
            assert (await running.http.get(path)).status_code == 200
        assert problem(await running.ocr(PNG, {"authorization": "Bearer three"}))[0] == 401
        assert problem(await running.http.post("/ocr", headers={b"x-api-key": "ключ".encode()}))[0] == 401
        assert (await running.ocr(PNG, {"authorization": "bearer two"})).status_code == 200
        assert (await running.ocr(PNG, {"x-api-key": "one"})).status_code == 200


async def test_a_full_house_is_429() -> None:
    """Beyond `MAX_QUEUED_REQUESTS` a request is told at once when to come back."""
    async with Standin() as vlm, gateway(vlm.url, max_queued_requests=2) as running:
        vlm.fail(hang=True)
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(running.ocr, PNG)
            await vlm.until(lambda: vlm.in_flight == 2)
            assert (await running.http.get("/health/ready")).json() == {"status": "full"}
            answer = await running.ocr(PNG)
            assert problem(answer) == (429, "overloaded")
            assert int(answer.headers["retry-after"]) > 0
            vlm.heal()
        await still_serves(running)


async def test_a_request_whose_time_is_over_is_504_and_leaves_the_backend() -> None:
    """The deadline ends the request, and its region at the backend with it."""
    async with Standin() as vlm, gateway(vlm.url, request_timeout_s=3) as running:
        vlm.fail(hang=True)
        assert problem(await running.ocr(PNG)) == (504, "deadline_exceeded")
        await vlm.until(lambda: vlm.in_flight == 0)
        vlm.heal()
        await still_serves(running)


async def test_a_slow_body_ends_with_the_deadline() -> None:
    """A caller that never finishes its body does not keep its place for ever."""
    async with Standin() as vlm, gateway(vlm.url, request_timeout_s=3) as running:
        async with await anyio.connect_tcp("127.0.0.1", running.port) as stream:
            await stream.send(b"POST /ocr HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
            answer = await stream.receive()
        assert answer.startswith(b"HTTP/1.1 504")
        assert running.admission.admitted == 0


async def test_before_the_backend_was_ready_it_is_starting() -> None:
    """503 `backend_starting` with `Retry-After`, then the document is served."""
    vlm = Standin()
    async with gateway(vlm.url, wait=False) as running:
        await running.service.layout.wait_ready()
        answer = await running.ocr(PNG)
        assert problem(answer) == (503, "backend_starting")
        assert int(answer.headers["retry-after"]) > 0
        async with vlm:
            await running.service.wait_until_ready(20)
            await still_serves(running)


async def test_a_backend_that_went_away_is_unavailable() -> None:
    """503 `backend_unavailable` with `Retry-After` while it is away, served again when it is back."""
    vlm = Standin()
    async with vlm, gateway(vlm.url) as running:
        await still_serves(running)
        await anyio.to_thread.run_sync(vlm.stop)
        await running.service.monitor.probe()
        answer = await running.ocr(PNG)
        assert problem(answer) == (503, "backend_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        vlm.start()
        await running.service.wait_until_ready(20)
        await still_serves(running)


async def test_while_draining_new_requests_are_503_and_running_ones_finish() -> None:
    """A drain lets in nobody and waits for those inside; when its time is over they are told."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        vlm.fail(hang=True)
        answers: list[httpx.Response] = []

        async def send() -> None:
            answers.append(await running.ocr(PNG))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await vlm.until(lambda: vlm.in_flight == 1)
            tasks.start_soon(running.admission.drain, 30)
            await anyio.wait_all_tasks_blocked()
            assert problem(await running.ocr(PNG)) == (503, "shutting_down")
            assert (await running.http.get("/health/ready")).status_code == 503
            vlm.heal()
        assert answers[0].status_code == 200
        assert running.admission.admitted == 0


async def test_a_drain_whose_time_is_over_tells_those_inside() -> None:
    """Nobody is cut off without an answer."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        vlm.fail(hang=True)
        answers: list[httpx.Response] = []

        async def send() -> None:
            answers.append(await running.ocr(PNG))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await vlm.until(lambda: vlm.in_flight == 1)
            await running.admission.drain(0)
        assert problem(answers[0]) == (503, "shutting_down")


@pytest.mark.parametrize("given", ["a" * 129, "with blank", "umlaut-ü", ""])
async def test_a_request_id_that_is_none_is_replaced(given: str) -> None:
    """Only 1 to 128 harmless characters are taken from the caller."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        answer = await running.http.get("/nowhere", headers={"x-request-id": given.encode("latin-1")})
        taken = await running.http.get("/nowhere", headers={"x-request-id": "A.b_c:d-1"})
    assert answer.headers["x-request-id"] not in (given, "")
    assert taken.headers["x-request-id"] == taken.json()["request_id"] == "A.b_c:d-1"
