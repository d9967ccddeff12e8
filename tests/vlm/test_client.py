from __future__ import annotations

import io
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest
from PIL import Image
from vlm_harness import reading, watching
from vlm_standin import Standin

from gateway.document import Recognition, Task
from gateway.errors import BackendError, BackendStarting, RegionFailed
from gateway.turns import Party
from gateway.vlm.client import Recognizer


def size(picture: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(picture)) as image:
        return image.size


async def test_a_crop_is_read_with_the_request_the_model_expects(vlm: Standin, jpeg: bytes) -> None:
    """One user message, the picture first, then the prompt; the text and the counts come back."""
    async with reading(vlm.url) as recognizer:
        read = await recognizer.read(lambda: jpeg, Task.TABLE, language="ru")
    (asked,) = vlm.requests
    assert read == Recognition(f"Table Recognition: {len(jpeg)} bytes", prompt_tokens=228, completion_tokens=61)
    assert [part["type"] for part in asked.parts] == ["image_url", "text"]
    assert asked.parts[0]["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert asked.picture == jpeg
    assert {name: value for name, value in asked.body.items() if name != "messages"} == {
        "model": "PaddleOCR-VL-1.5-0.9B",
        "temperature": 0,
        "max_completion_tokens": 4096,
        "skip_special_tokens": True,
        "stream": True,
        "stream_options": {"include_usage": True},
        "mm_processor_kwargs": {"min_pixels": 112896, "max_pixels": 1003520},
    }
    assert asked.headers["content-language"] == "ru"


async def test_spotting_keeps_special_tokens_and_sees_more_pixels(vlm: Standin, jpeg: bytes) -> None:
    """The places of the words are special tokens, so they are not skipped."""
    async with reading(vlm.url) as recognizer:
        await recognizer.read(lambda: jpeg, Task.SPOTTING)
    assert vlm.requests[0].body["skip_special_tokens"] is False
    assert vlm.requests[0].body["mm_processor_kwargs"]["max_pixels"] == 1605632
    assert "content-language" not in vlm.requests[0].headers


async def test_a_picture_of_megabytes_goes_through(vlm: Standin) -> None:
    """The body has its length in the header, whatever its size."""
    picture = random.Random(1).randbytes(3 << 20)
    async with reading(vlm.url) as recognizer:
        await recognizer.read(lambda: picture, Task.OCR)
    assert vlm.requests[0].picture == picture
    assert int(vlm.requests[0].headers["content-length"]) > 4 << 20


async def test_a_backend_that_refuses_pixel_limits_is_asked_without_them_from_then_on(jpeg: bytes) -> None:
    """vLLM 0.33.0 answers 400 to `mm_processor_kwargs`; it is sent them once."""
    async with Standin(takes_pixels=False) as vlm, reading(vlm.url) as recognizer:
        await recognizer.read(lambda: jpeg, Task.OCR)
        await recognizer.read(lambda: jpeg, Task.OCR)
    assert ["mm_processor_kwargs" in asked.body for asked in vlm.requests] == [True, False, False]


async def test_the_priority_of_a_document_goes_with_its_requests(vlm: Standin, jpeg: bytes) -> None:
    """A backend that schedules by it has what is interactive go first; what is usual is not sent."""
    async with reading(vlm.url) as recognizer:
        await recognizer.read(lambda: jpeg, Task.OCR, party=Party(priority=1))
        await recognizer.read(lambda: jpeg, Task.OCR, party=Party())
    assert [asked.body.get("priority") for asked in vlm.requests] == [1, None]


async def test_a_backend_that_refuses_priorities_is_asked_without_them_from_then_on(vlm: Standin, jpeg: bytes) -> None:
    """One that does not schedule by them may answer 400; the crop is read all the same."""
    vlm.takes_priority = False
    async with reading(vlm.url) as recognizer:
        for _ in range(2):
            assert (await recognizer.read(lambda: jpeg, Task.OCR, party=Party(priority=1))).text
    assert [asked.body.get("priority") for asked in vlm.requests] == [1, None, None]


async def test_an_answer_that_ran_into_its_limit_is_marked_as_cut(vlm: Standin, jpeg: bytes) -> None:
    """`finish_reason: length` is a result, but not a whole one."""
    vlm.fail(says="half a sen", finish="length")
    async with reading(vlm.url) as recognizer:
        read = await recognizer.read(lambda: jpeg, Task.OCR)
    assert (read.text, read.cut) == ("half a sen", True)


async def test_a_backend_that_cannot_stream_is_read_all_the_same(vlm: Standin, jpeg: bytes) -> None:
    """What it answers in one piece is the answer."""
    vlm.streams = False
    async with reading(vlm.url) as recognizer:
        assert (await recognizer.read(lambda: jpeg, Task.OCR)).text.startswith("OCR:")


async def test_an_answer_that_runs_away_is_stopped_and_read_once_more(vlm: Standin, jpeg: bytes) -> None:
    """The engine stops within a few hundred tokens; the second reading samples otherwise, and is the result."""
    vlm.fail(says="and the amount of the year " * 600, sampled=False)
    async with reading(vlm.url) as recognizer:
        read = await recognizer.read(lambda: jpeg, Task.OCR)
        await vlm.until(lambda: vlm.in_flight == 0)
    first, second = vlm.requests
    assert (read.text, read.runaway) == (f"OCR: {len(jpeg)} bytes", False)
    assert (first.outcome, second.outcome) == ("gone", 200)
    assert len(first.sent) < 4 * 400
    assert (second.body["temperature"], second.body["repetition_penalty"]) == (0.2, 1.05)
    assert first.body["temperature"] == 0 and "repetition_penalty" not in first.body
    assert read.completion_tokens >= 61 + 600 // 4


@pytest.mark.parametrize("again", [{"says": "and the amount of the year " * 600}, {"status": 400}, {"status": 500}])
async def test_an_answer_that_runs_away_twice_is_trimmed_and_marked(
    vlm: Standin, jpeg: bytes, again: dict[str, Any]
) -> None:
    """What came before it repeated itself is the text, also where the second reading comes to nothing."""
    vlm.fail(says="The year is over. " + "and the amount of the year " * 600, sampled=False)
    vlm.fail(**again, sampled=True)
    async with reading(vlm.url) as recognizer:
        read = await recognizer.read(lambda: jpeg, Task.OCR)
        await vlm.until(lambda: vlm.in_flight == 0)
    assert (read.text, read.runaway) == ("The year is over. and the amount of the year", True)
    assert sum(len(asked.sent) for asked in vlm.requests) < 4 * 800


async def test_a_table_of_equal_cells_is_no_runaway(vlm: Standin, jpeg: bytes) -> None:
    """It is read once and whole."""
    table = ("<fcel>0,00" * 10 + "<nl>") * 30
    vlm.fail(says=table)
    async with reading(vlm.url) as recognizer:
        assert (await recognizer.read(lambda: jpeg, Task.TABLE)).text == table
    assert len(vlm.requests) == 1


async def test_an_empty_answer_is_a_result(vlm: Standin, jpeg: bytes) -> None:
    """A blank crop has no text."""
    vlm.fail(says="")
    async with reading(vlm.url) as recognizer:
        assert (await recognizer.read(lambda: jpeg, Task.OCR)).text == ""


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 502},
        {"status": 503},
        {"status": 429, "retry_after": "0"},
        {"drop": True},
        {"error": "EngineCore encountered an issue. See stack trace (above) for the root cause."},
        {"raw": "<html>upstream</html>"},
        {"raw": '{"choices": []}'},
        {"finish": "abort"},
        {"finish": "error"},
    ],
    ids=str,
)
async def test_what_may_pass_is_tried_again(vlm: Standin, jpeg: bytes, fault: dict[str, Any]) -> None:
    """Two bad attempts, then the answer; every attempt has a request id of its own."""
    vlm.fail(**fault, times=2)
    async with reading(vlm.url) as recognizer:
        read = await recognizer.read(lambda: jpeg, Task.OCR)
    assert read.text.startswith("OCR:")
    assert len({asked.headers["x-request-id"] for asked in vlm.requests}) == 3


async def test_an_attempt_that_takes_too_long_is_given_up_and_tried_again(vlm: Standin, jpeg: bytes) -> None:
    """The time limit of one request closes its connection."""
    vlm.fail(hang=True, times=1)
    async with reading(vlm.url, request_limit=0.2) as recognizer:
        read = await recognizer.read(lambda: jpeg, Task.OCR)
        await vlm.until(lambda: vlm.in_flight == 0)
    assert read.text.startswith("OCR:")
    assert [asked.outcome for asked in vlm.requests] == ["gone", 200]


@pytest.mark.parametrize(
    ("fault", "code", "attempts"),
    [
        ({"status": 400, "message": "Failed to apply Qwen2VLProcessor on data"}, "crop_refused", 1),
        ({"status": 422}, "crop_refused", 1),
        ({"status": 413}, "crop_too_large", 2),
        ({"status": 400, "message": "The decoder prompt (length 9) is longer than the maximum model length"}, None, 2),
        ({"status": 400, "message": "Input length (9) exceeds model's maximum context length (8)."}, None, 2),
        ({"status": 500, "message": "Image size (9 pixels) exceeds limit of 8 pixels, could be a bomb"}, None, 2),
        ({"status": 500, "message": "image file is truncated (3 bytes not processed)"}, "crop_refused", 1),
        ({"error": "The decoder prompt (length 9) is longer than the maximum model length of 8."}, None, 2),
        ({"error": "Failed to apply Qwen2VLProcessor on data={'text': 'x'}"}, "crop_refused", 1),
        ({"raw": "<html>"}, "bad_answer", 4),
        ({"finish": "repetition"}, "bad_answer", 4),
    ],
    ids=str,
)
async def test_what_is_the_crops_fault_fails_the_region(
    vlm: Standin, jpeg: bytes, fault: dict[str, Any], code: str | None, attempts: int
) -> None:
    """A refused crop is not sent again, an unusable answer is asked for a few times more; no backend's word leaks."""
    vlm.fail(**fault)
    async with reading(vlm.url) as recognizer:
        with pytest.raises(RegionFailed) as failed:
            await recognizer.read(lambda: jpeg, Task.OCR)
    assert failed.value.code == (code or "crop_too_large")
    assert len(vlm.requests) == attempts
    assert fault.get("message", fault.get("error", "<html>")) not in failed.value.detail


async def test_a_crop_that_is_too_large_is_read_at_half_its_size(vlm: Standin, jpeg: bytes) -> None:
    """A smaller picture is better than none; it is tried once."""
    vlm.fail(status=400, message="longer than the maximum model length", picture=lambda sent: size(sent)[0] > 30)
    async with reading(vlm.url) as recognizer:
        read = await recognizer.read(lambda: jpeg, Task.OCR)
    assert [size(asked.picture) for asked in vlm.requests] == [(60, 20), (30, 10)]
    assert read.text.startswith("OCR:")


async def test_a_500_for_one_crop_only_fails_that_region(vlm: Standin, jpeg: bytes) -> None:
    """The backend proves itself by reading a small picture, so the crop is to blame."""
    vlm.fail(status=500, picture=lambda sent: sent == jpeg)
    async with reading(vlm.url) as recognizer:
        with pytest.raises(RegionFailed) as failed:
            await recognizer.read(lambda: jpeg, Task.OCR)
    assert failed.value.code == "recognition_failed"
    assert [asked.outcome for asked in vlm.requests] == [500, 500, 500, 500, 200]


async def test_no_proof_is_asked_for_while_other_crops_are_read(vlm: Standin, jpeg: bytes) -> None:
    """Answers to others since the first failure tell as much."""
    vlm.fail(status=500, prompt="Table")
    async with reading(vlm.url) as recognizer, anyio.create_task_group() as tasks:

        async def others() -> None:
            while True:
                await recognizer.read(lambda: jpeg, Task.OCR)

        tasks.start_soon(others)
        with pytest.raises(RegionFailed):
            await recognizer.read(lambda: jpeg, Task.TABLE)
        tasks.cancel_scope.cancel()
    assert all(asked.picture == jpeg for asked in vlm.requests)


@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": True}, {"hang": True}, {"stall": True}], ids=str)
async def test_a_backend_that_fails_on_everything_is_the_backends_fault(
    vlm: Standin, jpeg: bytes, fault: dict[str, Any]
) -> None:
    """It does not even read the small picture."""
    async with reading(vlm.url, request_limit=0.2) as recognizer:
        vlm.fail(**fault)
        with pytest.raises(BackendError) as failed:
            await recognizer.read(lambda: jpeg, Task.OCR)
    assert failed.value.code == "backend_unavailable"
    assert failed.value.retry_after > 0


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ({"status": 401}, "credentials"),
        ({"status": 404, "type": "NotFoundError", "message": "The model `x` does not exist."}, "PaddleOCR-VL-1.5-0.9B"),
        ({"status": 404, "type": "", "message": "Not Found"}, "address"),
        ({"status": 307}, "address"),
    ],
    ids=str,
)
async def test_what_a_person_has_to_mend_ends_the_request_at_once(
    vlm: Standin, jpeg: bytes, fault: dict[str, Any], word: str
) -> None:
    """Keys, names and addresses do not mend themselves; the detail tells which it is."""
    vlm.fail(**fault)
    async with reading(vlm.url) as recognizer:
        with pytest.raises(BackendError, match=word):
            await recognizer.read(lambda: jpeg, Task.OCR)
    assert len(vlm.requests) == 1


async def test_a_backend_that_never_was_ready_is_starting(jpeg: bytes) -> None:
    """A refused connection is then no reason to wait."""
    vlm = Standin()
    async with reading(vlm.url) as recognizer:
        with pytest.raises(BackendStarting) as failed:
            await recognizer.read(lambda: jpeg, Task.OCR)
    assert failed.value.retry_after == 10


async def test_a_read_outlives_a_restart_of_the_backend(vlm: Standin, jpeg: bytes) -> None:
    """The connection breaks, others are refused, and the crop is read when the backend is back."""
    async with watching(vlm.url) as monitor, Recognizer(monitor) as recognizer, anyio.create_task_group() as tasks:
        texts: list[str] = []

        async def read() -> None:
            texts.append((await recognizer.read(lambda: jpeg, Task.OCR)).text)

        vlm.fail(hang=True)
        tasks.start_soon(read)
        await vlm.until(lambda: vlm.in_flight == 1)
        await anyio.to_thread.run_sync(vlm.stop)
        while monitor.ready:
            await monitor.probe()
        vlm.heal()
        vlm.start()
    assert texts[0].startswith("OCR:")


async def test_a_backend_long_away_is_not_waited_for_and_nothing_is_cropped(vlm: Standin) -> None:
    """Patience counts from when the backend went, not from when the read came."""
    async with watching(vlm.url) as monitor, Recognizer(monitor, patience=0.0) as recognizer:
        await anyio.to_thread.run_sync(vlm.stop)
        while monitor.ready:
            await monitor.probe()
        with pytest.raises(BackendError) as failed:
            await recognizer.read(lambda: pytest.fail("cropped"), Task.OCR)
        vlm.start()
    assert failed.value.code == "backend_unavailable"


@pytest.mark.parametrize("wait", ["3600", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_a_retry_after_beyond_our_patience_is_passed_on(vlm: Standin, jpeg: bytes, wait: str) -> None:
    """Nobody waits an hour here; the caller is told instead."""
    vlm.fail(status=429, retry_after=wait)
    async with reading(vlm.url) as recognizer:
        with pytest.raises(BackendError) as failed:
            await recognizer.read(lambda: jpeg, Task.OCR)
    assert failed.value.retry_after >= 3600
    assert len(vlm.requests) == 1


async def test_nothing_is_waited_for_that_lies_behind_the_callers_deadline(vlm: Standin, jpeg: bytes) -> None:
    """The caller hears why it failed instead of running into its time limit."""
    vlm.fail(status=429, retry_after="20")
    async with reading(vlm.url) as recognizer:
        with anyio.move_on_after(10) as scope, pytest.raises(BackendError):
            await recognizer.read(lambda: jpeg, Task.OCR)
    assert not scope.cancelled_caught


async def test_no_more_crops_are_made_than_there_are_seats(vlm: Standin, jpeg: bytes) -> None:
    """The seat comes before the crop, so waiting reads hold no picture."""
    cropped: list[int] = []
    vlm.fail(hang=True)
    async with reading(vlm.url, in_flight=3) as recognizer, anyio.create_task_group() as tasks:

        def crop_of(number: int) -> Callable[[], bytes]:
            return lambda: cropped.append(number) or jpeg  # type: ignore[func-returns-value]

        for number in range(10):
            tasks.start_soon(recognizer.read, crop_of(number), Task.OCR)
        await vlm.until(lambda: vlm.in_flight == 3)
        assert (len(cropped), recognizer.waiting) == (3, 7)
        vlm.heal()
    assert (len(cropped), vlm.peak) == (10, 3)


async def test_a_cancelled_read_closes_its_connection(vlm: Standin, jpeg: bytes) -> None:
    """So the engine stops generating for nobody."""
    vlm.fail(hang=True)
    async with reading(vlm.url) as recognizer, anyio.create_task_group() as tasks:
        tasks.start_soon(recognizer.read, lambda: jpeg, Task.OCR)
        await vlm.until(lambda: vlm.in_flight == 1)
        tasks.cancel_scope.cancel()
    await vlm.until(lambda: vlm.requests[0].outcome == "gone")


async def test_several_backends_share_the_load_and_the_rest_carries_on_when_one_goes(jpeg: bytes) -> None:
    """Each takes its part; a dead one costs the reads nothing but another attempt."""
    async with AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(Standin()) for _ in range(2)]
        recognizer = await stack.enter_async_context(reading(first.url, second.url, in_flight=4))
        for vlm in (first, second):
            vlm.fail(hang=True)
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(recognizer.read, lambda: jpeg, Task.OCR)
            await first.until(lambda: first.in_flight == 4)
            await second.until(lambda: second.in_flight == 4)
            await anyio.to_thread.run_sync(first.stop)
            first.heal()
            second.heal()
        first.start()
    assert sum(asked.outcome == 200 for asked in second.requests) == 8


async def test_a_backend_that_fails_a_crop_is_not_the_one_that_gets_it_again(jpeg: bytes) -> None:
    """A backend that fails at once looks idle; the crop goes to the other one all the same."""
    async with Standin() as bad, Standin() as good, reading(bad.url, good.url) as recognizer:
        bad.fail(status=500)
        for _ in range(6):
            await recognizer.read(lambda: jpeg, Task.OCR)
    assert len(good.requests) == 6
