"""What an answer other than 200 means: for the crop, for the backend, or for one more attempt.

The words looked for are those of vLLM 0.10.2 and 0.33.0. Nothing of the backend's body goes into an error: it may echo
the whole request, picture included. It is logged, shortened.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from gateway.errors import BackendError, RegionFailed
from gateway.vlm.setbacks import Away, Broke, PixelsRefused, PriorityRefused
from gateway.vlm.transport import Answer

log = logging.getLogger(__name__)

_TOO_LARGE = re.compile(r"maximum (model|context) length|exceeds limit of \d+ pixels", re.IGNORECASE)
_BAD_PICTURE = re.compile(
    r"image file is truncated|cannot identify image file|Failed to apply \w+ on data", re.IGNORECASE
)
_BASE64 = re.compile(r"[A-Za-z0-9+/]{100,}={0,2}")
_LOGGED = 500
_MISCONFIGURED_RETRY = 60.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """The parts of OpenAI's error object that matter here; `message` is the whole body where there is none."""

    message: str
    type: str = ""
    param: str = ""


def refusal(content: bytes) -> Refusal:
    """The error in a body, of any shape."""
    text = content.decode("utf-8", "replace")
    try:
        error = json.loads(text)["error"]
        return Refusal(str(error["message"]), str(error.get("type")), str(error.get("param")))
    except (ValueError, LookupError, TypeError, AttributeError):
        return Refusal(text)


def check(answer: Answer, model: str, request_id: str, *, pixels: bool, priority: int) -> None:
    """Return for a 200; raise for all else.

    Raises `RegionFailed` where the crop is to blame, `BackendError` where a person has to mend something,
    `PixelsRefused` for a request with `pixels`, `PriorityRefused` for one with a `priority`, `Away` and `Broke` where
    another attempt may do.
    """
    status = answer.status
    if status == 200:
        return
    said = refusal(answer.content)
    words = f"answered {status} to {request_id}: {shortened(said.message)}"
    if status == 400 and pixels and "mm_processor_kwargs" in (said.param, *said.message.split()):
        raise PixelsRefused
    if status == 400 and priority and "priority" in (said.param, *said.message.lower().split()):
        raise PriorityRefused
    if status in (429, 503):
        raise Away(words, wait=retry_after(answer.headers.get("retry-after")))
    failure = _picture_failure(status, said) or _address_failure(status, said, model)
    if failure is None and (status in (408, 425) or status >= 500):
        raise Broke(words)
    log.warning("%s %s", answer.url, words)
    raise failure or RegionFailed("The recognition backend refused the crop.", code="crop_refused")


def check_in_stream(error: object) -> None:
    """Raise for an error that came inside a stream with the status 200. Its code does not tell whose fault it is."""
    said = refusal(json.dumps({"error": error}).encode())
    words = f"ended a stream: {shortened(said.message)}"
    failure = _picture_failure(400, said)
    if failure is None:
        raise Broke(words)
    log.warning("%s", words)
    raise failure


def _picture_failure(status: int, said: Refusal) -> RegionFailed | None:
    """0.10.2 answers 500 to a broken picture, both do to one of too many pixels."""
    if status == 413 or (status in (400, 500) and _TOO_LARGE.search(said.message)):
        return RegionFailed("The crop is larger than the recognition backend takes.", code="crop_too_large")
    if status in (400, 500) and _BAD_PICTURE.search(said.message):
        return RegionFailed("The recognition backend could not decode the crop.", code="crop_refused")
    return None


def _address_failure(status: int, said: Refusal, model: str) -> BackendError | None:
    """What no other attempt and no other crop would change."""
    if status in (401, 403):
        detail = "The recognition backend wants credentials that the gateway does not have."
    elif status == 404 and (said.type == "NotFoundError" or "does not exist" in said.message):
        detail = f"The recognition backend does not serve the model `{model}`."
    elif status in (404, 405) or 300 <= status < 400:
        detail = "The recognition backend's address is not that of an OpenAI API."
    else:
        return None
    return BackendError(detail, retry_after=_MISCONFIGURED_RETRY)


def retry_after(value: str | None) -> float | None:
    """Seconds of a `Retry-After` header, which gives seconds or a date; None for none or nonsense."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def shortened(text: str) -> str:
    """A backend's words for the log: pictures left out, bounded."""
    plain = _BASE64.sub("<base64>", text[: 8 * _LOGGED])
    return plain if len(plain) <= _LOGGED else f"{plain[:_LOGGED]}… ({len(text)} characters)"
