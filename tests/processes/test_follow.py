"""The log follower as a process of its own, on files rotated as supervisor rotates them."""

import logging.handlers
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

Follower = subprocess.Popen[bytes]


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Follower]:
    """A follower of `tmp_path`; closing its stdin ends it."""
    command = [sys.executable, "-m", "gateway.follow", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process


def rest(follower: Follower) -> list[str]:
    return follower.communicate(timeout=30)[0].decode().splitlines()


def test_lines_carry_the_name_of_their_file(follower, tmp_path):
    """Lines of files old and new are copied after the file's name, as they come."""
    with (tmp_path / "gateway.log").open("w", buffering=1) as gateway:
        gateway.write("one\n")
        assert follower.stdout.readline() == b"gateway | one\n"
        (tmp_path / "genai.log").write_text("two\n")
        assert follower.stdout.readline() == b"genai | two\n"
        gateway.write("three\n")
        assert follower.stdout.readline() == b"gateway | three\n"
    assert rest(follower) == []


def test_half_a_line_waits_for_its_end(follower, tmp_path):
    """A line written in pieces is copied once, whole; one that is never ended is copied at the close."""
    with (tmp_path / "a.log").open("w", buffering=1) as one, (tmp_path / "b.log").open("w", buffering=1) as two:
        one.write("half")
        one.flush()
        two.write("other\n")
        assert follower.stdout.readline() == b"b | other\n"
        one.write(" and half\nnever ended")
        one.flush()
    assert rest(follower) == ["a | half and half", "a | never ended"]


def test_no_line_is_lost_over_rotations(follower, tmp_path):
    """Every line arrives once and in order while the file is rotated many times."""
    handler = logging.handlers.RotatingFileHandler(tmp_path / "genai.log", maxBytes=2_000, backupCount=200)
    for number in range(5_000):
        handler.handle(logging.makeLogRecord({"msg": f"line {number}"}))
    handler.close()
    assert len(list(tmp_path.glob("genai.log.*"))) > 20
    assert rest(follower) == [f"genai | line {number}" for number in range(5_000)]


def test_a_reader_that_goes_away_ends_it_quietly(follower, tmp_path):
    """When nobody reads the container's log, the follower ends with 0 and says nothing."""
    follower.stdout.close()
    (tmp_path / "gateway.log").write_text("one\n")
    assert follower.wait(30) == 0
