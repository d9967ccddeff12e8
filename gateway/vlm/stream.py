"""A streamed chat completion as it comes (vLLM 0.10.2 and 0.33.0, and others of the OpenAI dialect)."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from gateway.document import Recognition
from gateway.vlm import refusals, wire
from gateway.vlm.runaway import Runaway
from gateway.vlm.setbacks import Broke, Garbled

_DATA = b"data:"
_END = b"[DONE]"


@dataclass(slots=True)
class Answer:
    """What of one answer has come: its text, why it ended, what it cost."""

    text: Runaway
    reason: str | None = None
    usage: object = None
    pieces: int = 0
    ran_away: bool = False

    def take(self, line: bytes) -> None:
        """One line of the stream. Raises `Garbled`, and what an error in the stream means."""
        if not line.startswith(_DATA) or (event := line[len(_DATA) :].strip()) == _END:
            return
        try:
            chunk = from_json(event)
            if "error" in chunk:
                refusals.check_in_stream(chunk["error"])
            self.usage = chunk.get("usage") or self.usage
            for choice in chunk["choices"][:1]:
                self._take_choice(choice)
        except (ValueError, LookupError, TypeError, AttributeError) as exc:
            raise Garbled("the stream has a line that is no chunk of a completion") from exc

    def _take_choice(self, choice: dict[str, Any]) -> None:
        if piece := choice["delta"].get("content"):
            self.pieces += 1
            self.ran_away = self.text.feed(piece)
        self.reason = choice.get("finish_reason") or self.reason

    def recognition(self) -> Recognition:
        """The text with what it cost; of an answer that was left, at least what came of it."""
        if self.ran_away:
            return Recognition(self.text.trimmed(), runaway=True, completion_tokens=self.pieces)
        if self.reason is None:
            raise Broke("the stream ended before the answer did")
        return wire.recognition(self.text.text, self.reason, self.usage)


async def read(pieces: AsyncIterable[bytes], text: Runaway, heard: Callable[[], None]) -> Recognition:
    """The answer in an event stream that comes in `pieces`, to its end or until `text` runs away.

    `heard` is called whenever something comes. Raises what a whole answer does, in `wire.recognition` and
    `refusals.check`.
    """
    answer, rest = Answer(text), b""
    async for piece in pieces:
        heard()
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        for line in lines:
            answer.take(line)
            if answer.ran_away:
                return answer.recognition()
    answer.take(rest)
    return answer.recognition()
