from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.document import Recognition
from gateway.errors import RegionFailed
from gateway.vlm.runaway import Runaway
from gateway.vlm.setbacks import Away, Broke, Garbled
from gateway.vlm.stream import Answer

USAGE = {"choices": [], "usage": {"prompt_tokens": 228, "total_tokens": 232, "completion_tokens": 4}}


def said(text: str, reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": reason}]}


def stream(*events: Any, end: str = "\n\n") -> bytes:
    return "".join(f"data: {e if isinstance(e, str) else json.dumps(e)}{end}" for e in events).encode()


WHOLE = stream(
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]},
    *(said(text) for text in ('Он "сказал"', "\n", "да\\нет")),
    said("", "stop"),
    USAGE,
    "[DONE]",
)


def outcome(content: bytes, size: int = 1 << 16) -> Recognition:
    answer = Answer(Runaway())
    for start in range(0, len(content), size):
        assert not answer.feed(content[start : start + size])
    return answer.recognition()


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 16])
def test_the_text_and_its_cost_are_read_from_pieces_of_any_size(size: int) -> None:
    """A chunk, and a letter of several bytes, may be cut anywhere."""
    expected = Recognition('Он "сказал"\nда\\нет', prompt_tokens=228, completion_tokens=4)
    assert outcome(WHOLE, size) == expected


@pytest.mark.parametrize(
    "content",
    [
        WHOLE.replace(b"\n", b"\r\n"),
        WHOLE.replace(b"data: ", b"data:"),
        b": comment\nevent: message\n" + WHOLE,
        WHOLE.removesuffix(b"data: [DONE]\n\n"),
        WHOLE.removesuffix(b"\n\n"),
        stream(
            *[json.dumps(json.loads(line[6:])) for line in WHOLE.decode().splitlines() if line[6:7] == "{"], end="\n"
        ),
    ],
    ids=["crlf", "no blank", "comments", "no done", "no last line end", "single line ends"],
)
def test_other_ways_to_write_a_stream_are_understood(content: bytes) -> None:
    """The dialect is spoken by others than vLLM."""
    assert outcome(content).text == 'Он "сказал"\nда\\нет'


def test_an_answer_at_its_limit_is_cut_and_without_usage_costs_nothing_known() -> None:
    """The last chunk of such an answer has text."""
    assert outcome(stream(said("half a"), said(" sen", "length"))) == Recognition("half a sen", cut=True)


def test_a_rust_front_end_sends_other_first_and_last_chunks() -> None:
    """No content beside the role, and an empty delta at the end."""
    first = {"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]}
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    assert outcome(stream(first, said("yes"), last, "[DONE]")) == Recognition("yes")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", Broke),
        (stream(said("half")), Broke),
        (stream(said("half"), "[DONE]"), Broke),
        (stream(said("half", "abort"), USAGE, "[DONE]"), Away),
        (stream(said("half", "repetition")), Garbled),
        (stream(said("half"), "{"), Garbled),
        (stream(said("half"), "[]"), Garbled),
        (stream({"choices": [{"delta": None}]}), Garbled),
        (stream({"choices": [{"delta": {"content": 7}}]}), Garbled),
        (stream({"error": {"message": "EngineCore encountered an issue.", "type": "x", "code": 400}}, "[DONE]"), Broke),
        (stream(said("a"), {"error": {"message": "The server had an error", "code": 500}}, "[DONE]"), Broke),
        (stream({"error": "no"}), Broke),
        (stream({"error": {"message": "longer than the maximum model length of 8", "code": 400}}), RegionFailed),
    ],
    ids=str,
)
def test_a_stream_that_is_no_answer_says_what_it_means(content: bytes, expected: type[Exception]) -> None:
    """An error may come inside a 200, and its code does not tell whose fault it is."""
    with pytest.raises(expected):
        outcome(content)


def test_a_runaway_is_noticed_while_it_comes() -> None:
    """So that whoever feeds it can leave it there."""
    answer, taken = Answer(Runaway()), 1
    while not answer.feed(stream(said("and so on "))):
        taken += 1
        assert taken < 100
    read = answer.recognition()
    assert (read.text, read.runaway, read.completion_tokens) == ("and so on", True, taken)
