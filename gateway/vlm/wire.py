"""One chat completion in bytes: the request for a crop, and what a 200 says."""

from __future__ import annotations

import io
import json
from functools import lru_cache
from typing import Any

from PIL import Image
from pybase64 import b64decode, b64encode

from gateway.document import AS_THE_TASK_DOES, Recognition, Sampling, Task
from gateway.vlm.prompts import PROMPTS, pixel_budget
from gateway.vlm.setbacks import Away, Garbled

_MARK = "\0"


def encoded(jpeg: bytes) -> bytes:
    """The picture as it stands in a request."""
    return b64encode(jpeg)


def halved(picture: bytes) -> bytes:
    """An `encoded` JPEG at half its width and height."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(b64decode(picture))) as image:
        small = image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.BOX)
    small.save(file, "JPEG", quality=95)
    return encoded(file.getvalue())


def request(
    model: str,
    task: Task,
    picture: bytes,
    sampling: Sampling = AS_THE_TASK_DOES,
    *,
    pixels: bool,
    priority: int = 0,
    stream: bool,
) -> bytes:
    """The JSON body for an `encoded` picture; with `pixels` it carries the task's `mm_processor_kwargs`."""
    head, tail = _frame(model, task, sampling, pixels, priority, stream)
    return b"".join((head, picture, tail))


@lru_cache(maxsize=64)
def _frame(
    model: str, task: Task, sampling: Sampling, pixels: bool, priority: int, stream: bool
) -> tuple[bytes, bytes]:
    """What stands before and after the picture, so that no JSON encoder walks over megabytes of base64."""
    prompt = PROMPTS[task]
    content = [
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{_MARK}"}},
        {"type": "text", "text": prompt.text},
    ]
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "temperature": sampling.temperature or 0,
        "max_completion_tokens": sampling.max_tokens or prompt.max_tokens,
        "skip_special_tokens": prompt.skip_special_tokens,
    }
    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p
    if sampling.repetition_penalty is not None:
        body["repetition_penalty"] = sampling.repetition_penalty
    if pixels:
        least, most = pixel_budget(task, sampling)
        body["mm_processor_kwargs"] = {"min_pixels": least, "max_pixels": most}
    if priority:
        body["priority"] = priority
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    head, tail = json.dumps(body).split(json.dumps(_MARK)[1:-1])
    return head.encode(), tail.encode()


def completion(content: bytes) -> Recognition:
    """What the body of a 200 says, as in `recognition`."""
    try:
        answer = json.loads(content)
        choice = answer["choices"][0]
        text, reason = choice["message"]["content"], choice["finish_reason"]
        usage = answer.get("usage")
    except (ValueError, LookupError, TypeError, AttributeError) as exc:
        raise Garbled("the answer is no chat completion") from exc
    return recognition(text, reason, usage)


def recognition(text: object, reason: object, usage: object) -> Recognition:
    """An answer that came to its end.

    Only `stop` and `length` are results: vLLM sends `abort` with part of the text while it shuts down (`Away`);
    anything else is `Garbled`.
    """
    if reason == "abort":
        raise Away("the answer was aborted")
    if reason not in ("stop", "length") or not isinstance(text, str):
        raise Garbled(f"the answer ended with {reason!r} and a content of type {type(text).__name__}")
    tokens = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    return Recognition(text, cut=reason == "length", prompt_tokens=tokens[0], completion_tokens=tokens[1])


def _count(usage: object, name: str) -> int:
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) else 0
