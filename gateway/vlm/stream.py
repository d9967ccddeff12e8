"""A streamed chat completion as it comes (vLLM 0.10.2 and 0.33.0, and others of the OpenAI dialect)."""

from __future__ import annotations

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
    rest: bytes = b""

    def feed(self, content: bytes) -> bool:
        """Take what comes, cut anywhere; True when the answer runs away, and what comes after does not matter.

        Raises `Garbled`, and what an error in the stream means.
        """
        lines = (self.rest + content).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            self._take(line)
            if self.ran_away:
                return True
        return False

    def _take(self, line: bytes) -> None:
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
        """The text with what it cost, when all has come; of an answer that ran away, at least what came of it.

        Raises what a whole answer does, in `wire.recognition` and `refusals.check`.
        """
        if self.ran_away:
            return Recognition(self.text.trimmed(), runaway=True, completion_tokens=self.pieces)
        self.feed(b"\n")  # the last line may have no end
        if self.reason is None:
            raise Broke("the stream ended before the answer did")
        return wire.recognition(self.text.text, self.reason, self.usage)
