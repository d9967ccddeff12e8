"""Questions to a backend about itself: is it there, does its engine move, does it read."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import anyio
from PIL import Image

from gateway.document import Task
from gateway.vlm import wire
from gateway.vlm.setbacks import Away, Setback
from gateway.vlm.transport import Answer, Transport

_LINE = r"^vllm:%s(?:\{[^}]*\})? (\S+)$"
_TOKENS = re.compile(_LINE % "generation_tokens_total", re.MULTILINE)
_RUNNING = re.compile(_LINE % "num_requests_running", re.MULTILINE)
_WAITING = re.compile(_LINE % "num_requests_waiting", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one probe saw; `model` is the served name, the wanted one where several are served."""

    status: Literal["ready", "unreachable", "unhealthy"]
    model: str | None = None
    latency_ms: float | None = None
    detail: str | None = None


async def look(http: Transport, root: str, base: str, wanted: str, limit: float) -> Finding:
    """Ask `/health`, and `/models` for the name; no longer than `limit` seconds.

    `unreachable` is no connection; a backend that accepts one and does not answer with 200 is `unhealthy`. One without
    a `/health` is judged by `/models` alone.
    """
    try:
        with anyio.fail_after(limit):
            began = anyio.current_time()
            health = await http.get(f"{root}/health")
            latency_ms = round(1000 * (anyio.current_time() - began), 1)
            models = await http.get(f"{base}/models")
    except TimeoutError:
        return Finding("unhealthy", detail=f"no answer within {limit:g} s")
    except Away as exc:
        return Finding("unreachable", detail=_sentence(exc))
    except Setback as exc:
        return Finding("unhealthy", detail=_sentence(exc))
    if health.status != 200 and (health.status != 404 or models.status != 200):
        return Finding("unhealthy", latency_ms=latency_ms, detail=f"/health answers {health.status}")
    names = _names(models)
    if names and wanted not in names:
        return Finding("unhealthy", names[0], latency_ms, f"it does not serve the model `{wanted}`")
    return Finding("ready", wanted if names else None, latency_ms)


def _sentence(exc: Exception) -> str:
    return str(exc).split(":")[0]


def _names(models: Answer) -> list[str]:
    """The served models; none where the backend does not tell."""
    if models.status != 200:
        return []
    try:
        return [str(entry["id"]) for entry in json.loads(models.content)["data"]]
    except (ValueError, LookupError, TypeError):
        return []


async def generated_tokens(http: Transport, root: str, limit: float) -> float | None:
    """The engine's own count of tokens, its heartbeat; None where the backend keeps none or does not say."""
    (tokens,) = await _sums(http, root, limit, _TOKENS)
    return tokens


async def queue(http: Transport, root: str, limit: float) -> tuple[float, float] | None:
    """Requests that the engine runs and that wait for it, whoever sent them; None where the backend does not say."""
    running, waiting = await _sums(http, root, limit, _RUNNING, _WAITING)
    return None if running is None or waiting is None else (running, waiting)


async def _sums(http: Transport, root: str, limit: float, *figures: re.Pattern[str]) -> Sequence[float | None]:
    """Figures of `/metrics`, of all engines together; None for what is not there."""
    try:
        with anyio.fail_after(limit):
            text = (await http.get(f"{root}/metrics")).content.decode()
        found = [[float(value) for value in figure.findall(text)] for figure in figures]
    except (Setback, TimeoutError, ValueError):
        return [None] * len(figures)
    return [sum(values) if values else None for values in found]


async def reads(http: Transport, base: str, model: str, limit: float) -> bool:
    """Whether the backend reads a small blank picture within `limit` seconds: the only proof that it works."""
    body = wire.request(model, Task.OCR, _blank(), pixels=False, stream=False)
    try:
        with anyio.fail_after(limit):
            answer = await http.post(f"{base}/chat/completions", body, {})
        if answer.status != 200:
            return False
        wire.completion(answer.content)
    except (Setback, TimeoutError):
        return False
    return True


@cache
def _blank() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (56, 56), "white").save(file, "JPEG")
    return wire.encoded(file.getvalue())
