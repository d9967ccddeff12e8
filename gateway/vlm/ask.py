"""One request for one crop at one backend."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from gateway import metrics, traces
from gateway.document import Recognition, Sampling, Task
from gateway.vlm import refusals, wire
from gateway.vlm.backends import Backend
from gateway.vlm.runaway import Runaway
from gateway.vlm.setbacks import PixelsRefused, PriorityRefused
from gateway.vlm.stream import Answer
from gateway.vlm.transport import Transport

_STREAMED = 3
"""Pieces of an answer from which it counts as streamed; a backend may read a crop and then stream the whole text."""


@dataclass(frozen=True, slots=True)
class Crop:
    """One crop on its way; the picture is `wire.encoded` already."""

    picture: bytes
    task: Task
    language: str
    sampling: Sampling
    patience: float = 1.0
    """How much longer than usual words may repeat before the answer counts as running away."""
    priority: int = 0
    """Lower ones go first where the backend schedules by it."""


async def ask(http: Transport, backend: Backend, model: str, crop: Crop, span: traces.Span) -> Recognition:
    """What the backend reads; the connection is closed as soon as the answer runs away. `span` is the one around this.

    Raises `Setback` where another attempt may do, and what `refusals.check` raises.
    """
    while True:
        pixels, priority = backend.takes_pixels, crop.priority if backend.takes_priority else 0
        try:
            return await _complete(http, backend, model, crop, span, pixels=pixels, priority=priority)
        except PixelsRefused:
            backend.takes_pixels = False
        except PriorityRefused:
            backend.takes_priority = False


async def _complete(
    http: Transport,
    backend: Backend,
    model: str,
    crop: Crop,
    span: traces.Span,
    *,
    pixels: bool,
    priority: int,
) -> Recognition:
    body = wire.request(model, crop.task, crop.picture, crop.sampling, pixels=pixels, priority=priority, stream=True)
    # vLLM 0.10.2 can stop for good over two live requests of one id: every attempt has its own
    request_id = f"{random.getrandbits(128):032x}"  # no secret, and asking the system for one takes 27 µs
    headers = {"x-request-id": request_id}
    if crop.language:
        headers["content-language"] = crop.language
    headers |= traces.headers()
    span.set(request_id=request_id)
    url = f"{backend.url}/chat/completions"
    began, first, times = time.monotonic(), 0.0, 0
    text = Answer(Runaway(crop.patience))

    def heard(piece: bytes) -> bool:
        nonlocal first, times
        backend.heard()
        first, times = first or backend.heard_at, times + 1
        return text.feed(piece)

    answer = await http.post(url, body, headers, heard)
    span.set(**{"http.response.status_code": answer.status})
    if answer.streamed:
        if times >= _STREAMED:
            backend.streamed(first - began, time.monotonic() - began)
        return _counted(text.recognition())
    refusals.check(answer, model, request_id, pixels=pixels, priority=priority)
    return _counted(wire.completion(answer.content))


def _counted(recognition: Recognition) -> Recognition:
    metrics.PROMPT_TOKENS.inc(recognition.prompt_tokens)
    metrics.COMPLETION_TOKENS.inc(recognition.completion_tokens)
    return recognition
