"""The embedded recogniser over HTTP, in vLLM's shapes, on a real socket, with the real models."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import documents
import httpx
import pytest
import uvicorn

from gateway.api.openai import TASKS, cpu_backend_app
from gateway.cpu_backend.reader import Reader
from gateway.document import Pixels, Task
from gateway.vlm.prompts import PROMPTS

MODEL = "rapidocr-tesseract"


@pytest.fixture(scope="module")
def backend() -> Iterator[httpx.Client]:
    with serving(Reader()) as client:
        yield client


@contextmanager
def serving(reader: Reader) -> Iterator[httpx.Client]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(cpu_backend_app(reader, MODEL, seats=1), log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=60) as client:
        yield client
    server.should_exit = True
    thread.join()


def request(picture: bytes, prompt: str = "OCR:", **more: Any) -> dict[str, Any]:
    url = "data:image/png;base64," + base64.b64encode(picture).decode()
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": prompt}]
    return {"model": MODEL, "messages": [{"role": "user", "content": content}], **more}


def test_it_is_healthy_and_names_its_model(backend: httpx.Client) -> None:
    """`/health` is 200 with an empty body, `/v1/models` has the one model."""
    assert (backend.get("/health").status_code, backend.get("/health").content) == (200, b"")
    assert backend.get("/v1/models").json()["data"][0]["id"] == MODEL


def test_a_crop_is_read(backend: httpx.Client) -> None:
    """A plain completion: the text, `stop`, and usage counts that add up."""
    answer = backend.post("/v1/chat/completions", json=request(documents.png("Hello world", (400, 100)))).json()
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "Hello world"}
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"] == {"prompt_tokens": 0, "completion_tokens": 2, "total_tokens": 2}


def test_a_request_is_one_line_in_the_log(backend: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    """As at the gateway: dialect, status and outcome; health polls are none."""
    caplog.set_level("INFO", "gateway.access")
    for prompt in ("OCR:", "Who are you?"):
        backend.post("/v1/chat/completions", json=request(documents.png("Hello", (400, 100)), prompt))
    backend.get("/health")
    lines = [(line.dialect, line.status, line.outcome) for line in caplog.records if line.name == "gateway.access"]
    assert lines == [("openai", 200, "ok"), ("openai", 400, "BadRequestError")]


def test_a_streamed_answer_is_the_plain_one_in_pieces(backend: httpx.Client) -> None:
    """Role first, then text, `stop`, the usage chunk when asked for, and [DONE]."""
    picture = documents.png("one\ntwo", (400, 160))
    body = request(picture, stream=True, stream_options={"include_usage": True})
    answer = backend.post("/v1/chat/completions", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    data = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert data.pop() == "[DONE]"
    *chunks, usage = [json.loads(line) for line in data]
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 2)
    choices = [chunk["choices"][0] for chunk in chunks]
    assert choices[0]["delta"] == {"role": "assistant", "content": ""}
    assert choices[-1]["finish_reason"] == "stop"
    plain = backend.post("/v1/chat/completions", json=request(picture)).json()
    text = "".join(choice["delta"]["content"] for choice in choices)
    assert text == plain["choices"][0]["message"]["content"]
    assert text.split() == ["one", "two"]


def test_it_knows_every_prompt_of_the_gateway() -> None:
    """What the gateway may ask is what the backend understands."""
    assert {prompt.text: task for task, prompt in PROMPTS.items()} == TASKS


BAD: dict[str, tuple[Any, int, str]] = {
    "no JSON": (b"{", 400, "JSON"),
    "no object": (b"[]", 400, "object"),
    "another model": ({**request(b"x"), "model": "other"}, 404, "other"),
    "no messages": ({"model": MODEL}, 400, "messages"),
    "no picture": ({"messages": [{"role": "user", "content": [{"type": "text", "text": "OCR:"}]}]}, 400, "picture"),
    "an unknown prompt": (request(documents.png("x"), "Tell me a story"), 400, "prompts"),
    "bytes that are no picture": (request(b"not a picture"), 400, "image"),
    "half a picture": (request(documents.png("Hello")[:200]), 400, "image"),
    "no base64": (
        {"messages": [{"content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,@@"}}, {"type": "text", "text": "OCR:"},
        ]}]},
        400, "base64",
    ),
    "a URL": (
        {"messages": [{"content": [
            {"type": "image_url", "image_url": {"url": "http://example.org/a.png"}}, {"type": "text", "text": "OCR:"},
        ]}]},
        400, "data URLs",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_it_cannot_read_is_refused_in_openais_words(backend: httpx.Client, name: str) -> None:
    """400 or 404 with OpenAI's error object, never a 500."""
    body, status, word = BAD[name]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = backend.post("/v1/chat/completions", content=content)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, status)
    assert word.lower() in error["message"].lower()
    assert set(error) == {"message", "type", "param", "code"}


class Patient(Reader):
    """Reads wide pictures for ever, as far as the caller is there; all others at once."""

    def load(self) -> None:
        """Nothing to load."""

    def read(self, picture: Pixels, task: Task = Task.OCR, language: str = "", checkpoint: Any = None) -> str:
        while picture.shape[1] > 500:
            checkpoint()
            time.sleep(0.005)
        return f"read {language}"


def test_a_caller_that_leaves_frees_its_seat() -> None:
    """With one seat, a request that was given up ends, and the next is read; its language hint reaches the reader."""
    with serving(Patient()) as backend:
        with pytest.raises(httpx.ReadTimeout):
            backend.post("/v1/chat/completions", json=request(documents.png("x", (600, 100))), timeout=0.3)
        body = request(documents.png("x", (300, 100)))
        answer = backend.post("/v1/chat/completions", json=body, headers={"content-language": "ru"})
    assert answer.json()["choices"][0]["message"]["content"] == "read ru"
