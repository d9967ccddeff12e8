"""A stand-in for the VLM server, with the wire shapes of vLLM 0.10.2, on a real socket in a thread of its own.

    async with Standin() as vlm:            # `with Standin() as vlm` does too
        vlm.fail(status=500, prompt="Table", times=2)
        ...                                 # something that talks to vlm.url
        assert vlm.requests[0].prompt == "Table Recognition:"

`fail` adds a fault, `heal` ends all: requests held by `hang` are then answered. A fault holds for the requests that
meet its conditions: `prompt` (a part of it), `times` (the first so many), `picture` (a test on the bytes).
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

import anyio
import uvicorn
from living import free_port, send_at_once

MODEL = "PaddleOCR-VL-1.5-0.9B"


@dataclass
class Asked:
    """One chat completion as it arrived; `outcome` is a status, `gone` (the client left) or `dropped`, None so far."""

    headers: dict[str, str]
    body: dict[str, Any]
    outcome: int | str | None = None
    picture: bytes = field(default=b"", repr=False)
    sent: str = ""
    """What of the text was streamed to the client."""

    @property
    def parts(self) -> list[dict[str, Any]]:
        return list(self.body["messages"][-1]["content"])

    @property
    def prompt(self) -> str:
        return "".join(str(part["text"]) for part in self.parts if part["type"] == "text")


@dataclass
class Fault:
    """What to do wrong. `message`, `type`, `param` and `retry_after` go with `status`; `raw` is the body of a 200.

    In a stream, `drop` and `stall` (until the client leaves or all is healed) come after half the text, and `error`, a
    message, in the place of what is left. `sampled`: False meets only requests at temperature 0, True only others.
    """

    status: int = 0
    message: str = "injected"
    type: str = "InternalServerError"
    param: str | None = None
    retry_after: str | None = None
    hang: bool = False
    drop: bool = False
    stall: bool = False
    error: str | None = None
    raw: str | None = None
    slow: float = 0.0
    says: str | None = None
    finish: str = "stop"
    prompt: str = ""
    times: float = float("inf")
    picture: Callable[[bytes], bool] = lambda _: True
    sampled: bool | None = None

    def meets(self, asked: Asked) -> bool:
        if self.prompt not in asked.prompt or self.times < 1 or not self.picture(asked.picture):
            return False
        if self.sampled is not None and self.sampled != bool(asked.body["temperature"]):
            return False
        self.times -= 1
        return True


class Standin:
    """`answer` makes the text for a request; `url` is the OpenAI base URL. The port stays over `stop` and `start`."""

    def __init__(self, *, answer: Callable[[Asked], str] | None = None, takes_pixels: bool = True) -> None:
        self.answer = answer or (lambda asked: f"{asked.prompt} {len(asked.picture)} bytes")
        self.takes_pixels = takes_pixels
        self.takes_priority = True
        self.model = MODEL
        self.streams = True
        """Whether an answer is streamed to who asks for that."""
        self.health: int | None = 200
        """What `/health` answers; None: nothing at all."""
        self.tokens: float | None = 0.0
        """The engine's token counter in `/metrics`; None: no `/metrics`."""
        self.sequences = 1000
        """Streamed answers that the engine works at; others wait."""
        self.token_s = 0.001
        self._running = 0
        self.requests: list[Asked] = []
        self.in_flight = self.peak = self.health_asked = self.metrics_asked = 0
        self._faults: list[Fault] = []
        self._changed = threading.Condition()
        self._healed = threading.Event()
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def fail(self, **how: Any) -> None:
        """Do wrong what `Fault` names, from now on."""
        self._healed.clear()
        self._faults.append(Fault(**how))

    def heal(self) -> None:
        """End all faults and let go of what hangs."""
        self._faults.clear()
        self._healed.set()

    async def until(self, true: Callable[[], bool]) -> None:
        """Return when `true` has become so; looked at after everything that happens here. Fails after 20 s."""
        assert await anyio.to_thread.run_sync(self._wait, true, abandon_on_cancel=True), "this never came about"

    def _wait(self, true: Callable[[], bool]) -> bool:
        with self._changed:
            return self._changed.wait_for(true, 20)

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # ---- the server's life
    def start(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
        send_at_once(listener)
        config = uvicorn.Config(self._app, interface="asgi3", log_level="critical", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(listener),), daemon=True)
        self._listener = listener
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)

    async def _serve(self, listener: socket.socket) -> None:
        await self._server.serve([listener])
        for connection in tuple(self._server.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # transports let go of their sockets in the loop's next turns
        await asyncio.sleep(0)

    def stop(self) -> None:
        """Refuse connections and cut those that are open."""
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)
        self._listener.close()

    def close_door(self) -> None:
        """Refuse new connections, close idle ones, and leave those in use as they are."""
        self._server.should_exit = True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.heal()
        self.stop()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.heal()
        await anyio.to_thread.run_sync(self.stop)

    # ---- the server's answers
    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if path == "/v1/chat/completions":
            await self._chat(scope, receive, send)
        elif path == "/health":
            self.health_asked += 1
            self._tell()
            await (_send(send, self.health) if self.health else _left(receive))
        elif path == "/v1/models":
            await _send(send, 200, {"object": "list", "data": [{"id": self.model, "object": "model"}]})
        elif path == "/metrics" and self._asked_for_metrics() and self.tokens is not None:
            figures = {
                "generation_tokens_total": self.tokens,
                "num_requests_running": self._running,
                "num_requests_waiting": self.in_flight - self._running,
            }
            labels = f'{{engine="0",model_name="{self.model}"}}'
            await _send(send, 200, "".join(f"vllm:{name}{labels} {value}\n" for name, value in figures.items()))
        else:
            await _send(send, 404, {"detail": "Not Found"})

    def _asked_for_metrics(self) -> bool:
        self.metrics_asked += 1
        self._tell()
        return True

    async def _chat(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        asked = Asked({name.decode(): value.decode() for name, value in scope["headers"]}, json.loads(body))
        asked.picture = _picture(asked)
        self.requests.append(asked)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        self._tell()
        try:
            await self._answer(asked, receive, send)
        finally:
            self.in_flight -= 1
            asked.outcome = asked.outcome or "gone"
            self._tell()

    async def _answer(self, asked: Asked, receive: Any, send: Any) -> None:
        if not self.takes_pixels and "mm_processor_kwargs" in asked.body:
            asked.outcome = 400
            return await _send(
                send, 400, _error(400, "Per-request mm_processor_kwargs are disabled", "mm_processor_kwargs")
            )
        if not self.takes_priority and "priority" in asked.body:
            asked.outcome = 400
            said = "Got priority 1 but Priority scheduling is not enabled."
            return await _send(send, 400, _error(400, said, None))
        fault = next((fault for fault in self._faults if fault.meets(asked)), Fault())
        streamed = asked.body.get("stream") and self.streams and fault.raw is None
        await self._held(fault if streamed else replace(fault, hang=fault.hang or fault.stall), receive)
        if self._server.force_exit:
            return
        if fault.status:
            asked.outcome = fault.status
            more = {"retry-after": fault.retry_after} if fault.retry_after is not None else {}
            error = _error(fault.status, fault.message, fault.param, fault.type)
            return await _send(send, fault.status, error, **more)
        text = fault.says if fault.says is not None else self.answer(asked)
        if isinstance(self.tokens, float):
            self.tokens += len(text)
        if streamed:
            return await self._stream(asked, text, fault, receive, send)
        asked.outcome = 200
        if fault.drop:
            asked.outcome = "dropped"
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4096")]})
            return await send({"type": "http.response.body", "body": b'{"id": "chatcm', "more_body": False})
        await _send(send, 200, fault.raw if fault.raw is not None else _completion(text, fault.finish))

    async def _stream(self, asked: Asked, text: str, fault: Fault, receive: Any, send: Any) -> None:
        """The text as vLLM streams it, four characters a token; stops when the client leaves."""
        left = asyncio.ensure_future(_left(receive))
        while self._running >= self.sequences and not left.done():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        self._running += 1
        half = len(text) // 2 if fault.drop or fault.stall or fault.error else len(text)

        async def event(event: Any) -> None:
            line = event if isinstance(event, str) else json.dumps(event, separators=(",", ":"), ensure_ascii=False)
            await send({"type": "http.response.body", "body": f"data: {line}\n\n".encode(), "more_body": True})

        try:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", _EVENTS)]})
            await event(_chunk({"role": "assistant", "content": ""}, None))
            for start in range(0, half, 4):
                await asyncio.sleep(self.token_s)
                if left.done():
                    raise _Gone
                asked.sent = text[: min(start + 4, half)]
                await event(_chunk({"content": text[start : min(start + 4, half)]}, None))
            if fault.stall:
                await self._held(Fault(hang=True), receive)
            if fault.drop or fault.stall:
                asked.outcome = "dropped"
                raise _Gone
            asked.outcome = 200
            if fault.error:
                await event({"error": {"message": fault.error, "type": "BadRequestError", "param": None, "code": 400}})
            else:
                await event(_chunk({"content": ""}, fault.finish))
                await event({"choices": [], "usage": _USAGE})
            await event("[DONE]")
            await send({"type": "http.response.body"})
        finally:
            self._running -= 1
            left.cancel()

    async def _held(self, fault: Fault, receive: Any) -> None:
        """Wait as the fault says; raises `_Gone` when the client leaves meanwhile."""
        if not (fault.hang or fault.slow):
            return
        left = asyncio.ensure_future(_left(receive))
        until = time.monotonic() + fault.slow
        try:
            while (fault.hang and not self._healed.is_set()) or time.monotonic() < until:
                if left.done() or self._server.force_exit:
                    raise _Gone
                await asyncio.sleep(0.005)
        finally:
            left.cancel()


class _Gone(Exception):
    pass


async def _left(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


_EVENTS = b"text/event-stream; charset=utf-8"
_USAGE = {"prompt_tokens": 228, "completion_tokens": 61, "total_tokens": 289}


def _chunk(delta: dict[str, str], finish: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, "token_ids": None}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": MODEL}
    return {**head, "choices": [choice]}


def _picture(asked: Asked) -> bytes:
    urls = [part["image_url"]["url"] for part in asked.parts if part["type"] == "image_url"]
    return base64.b64decode(urls[0].partition(",")[2]) if urls else b""


def _error(status: int, message: str, param: str | None, kind: str = "BadRequestError") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": status}}


def _completion(text: str, finish: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": _USAGE,
    }


async def _send(send: Any, status: int, body: dict[str, Any] | str = "", **headers: str) -> None:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    fields = [
        (b"content-type", b"application/json"),
        *((k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": content})
