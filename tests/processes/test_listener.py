"""The listener's judgement, over supervisor's protocol; test_service.py has it under a real supervisord."""

import io
from itertools import chain

import pytest

from gateway.listener import Watch, events


def exited(name: str = "genai") -> tuple[str, dict[str, str]]:
    return "PROCESS_STATE_EXITED", {"processname": name, "from_state": "RUNNING", "expected": "1", "pid": "1"}


def test_fatal_ends_the_service_at_once():
    """A program that supervisord gave up is named in the verdict."""
    assert "gateway is FATAL" in str(Watch().verdict("PROCESS_STATE_FATAL", {"processname": "gateway"}))


@pytest.mark.parametrize(("gap_s", "ends"), [(60.0, True), (600.0, False)])
def test_five_exits_within_half_an_hour_are_too_many(gap_s, ends):
    """Exits a minute apart end the service at the fifth; exits ten minutes apart never do."""
    times = iter(range(0, 1_000_000, int(gap_s)))
    watch = Watch(clock=lambda: float(next(times)))
    verdicts = [watch.verdict(*exited()) for _ in range(5)]
    assert verdicts[:4] == [None] * 4
    assert (verdicts[4] is not None) == ends


def test_exits_are_counted_by_program():
    """Four exits of each of two programs end nothing."""
    watch = Watch(clock=lambda: 0.0)
    both = chain.from_iterable([(exited("gateway"), exited("genai"))] * 4)
    assert [watch.verdict(*event) for event in both] == [None] * 8


def test_events_are_acknowledged_until_supervisord_is_gone():
    """Each event is answered with OK only after it was handled, and a closed stdin ends the loop."""
    payload = "processname:genai groupname:genai from_state:RUNNING expected:0 pid:7"
    head = f"ver:3.0 server:s serial:1 pool:listener poolserial:1 eventname:PROCESS_STATE_EXITED len:{len(payload)}\n"
    stdout = io.StringIO()
    stream = events(io.StringIO(head + payload), stdout)
    assert next(stream)[1]["pid"] == "7"
    assert stdout.getvalue() == "READY\n"
    assert list(stream) == []
    assert stdout.getvalue() == "READY\nRESULT 2\nOKREADY\n"
