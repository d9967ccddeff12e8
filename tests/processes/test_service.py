"""entrypoint.sh, supervisord.conf, the listener and the log follower together, for real."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_both_programs_run_until_a_requested_stop(start):
    """SIGTERM ends the gateway first, while the backend still lives, then the backend, then everything with 0."""
    service = start()
    service.started("gateway", "genai")
    assert service.stop() == 0
    assert [line.split()[:2] for line in service.events[2:]] == [
        ["gateway", "stopping"],
        ["gateway", "stopped"],
        ["genai", "stopping"],
        ["genai", "stopped"],
    ]
    assert service.processes == []


def test_processes_of_others_that_come_and_go_disturb_no_stop(start):
    """What is left of a session is looked for among all processes; some end while they are looked at."""
    service = start()
    service.started("gateway", "genai")
    churn = ["bash", "-c", "while true; do for i in {1..20}; do /bin/true & done; wait; done"]
    with subprocess.Popen(churn, start_new_session=True) as others:
        try:
            assert service.stop() == 0, service.stderr
        finally:
            os.killpg(others.pid, signal.SIGKILL)
    assert service.processes == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGHUP])
def test_interrupt_is_a_requested_stop_too(start, signum):
    """Ctrl-C and a closed terminal end as SIGTERM does, even during the start."""
    service = start()
    service.until(lambda: "gateway on" in service.stderr, "the first words")
    assert service.stop(signum) == 0
    assert service.processes == []


def test_killed_programs_are_started_again(start):
    """After kill -9 of either program there is a new one, and the other one is left alone."""
    service = start()
    service.started("gateway", "genai")
    os.kill(service.pids("gateway")[0], signal.SIGKILL)
    service.started("gateway", times=2)
    assert len(service.pids("genai")) == 1
    os.kill(service.pids("genai")[0], signal.SIGKILL)
    service.started("genai", times=2)
    assert len(service.pids("gateway")) == 2
    assert service.stop() == 0


def test_every_line_is_on_stdout_and_in_a_file(start):
    """stdout has each line after its program's name; `supervisorctl tail` has the program's own words."""
    service = start()
    service.started("gateway", "genai")
    own = f"started {service.pids('gateway')[0]}"
    service.until(lambda: f"gateway | {own}" in service.stdout, "the line on stdout")
    service.until(lambda: any(line.startswith("genai | started") for line in service.stdout), "the other line")
    assert own in service.ctl("tail", "gateway").splitlines()
    with subprocess.Popen(
        service.ctl_command("tail", "-f", "gateway"), env=service.environment, stdout=subprocess.PIPE, text=True
    ) as tail:
        assert tail.stdout is not None
        while own not in tail.stdout.readline():
            pass
        os.kill(service.pids("gateway")[0], signal.SIGKILL)
        service.started("gateway", times=2)
        assert f"started {service.pids('gateway')[1]}" in tail.stdout.readline()
        tail.terminate()
    assert service.stop() == 0
    assert service.stdout.index("gateway | stopped") and service.stdout.index("genai | stopped")
    assert all(line.split(" | ")[0] in {"gateway", "genai", "supervisord", "listener"} for line in service.stdout)


def test_a_program_that_cannot_start_ends_the_service_with_a_failure(start):
    """FATAL: the exit status is 1 and the last words name the program, although supervisord itself exits 0."""
    service = start(STANDIN_GENAI="die")
    assert service.process.wait(60) == 1
    assert "stopped: genai is FATAL" in service.stderr.splitlines()[-1]
    assert any(line.startswith("listener | genai is FATAL") for line in service.stdout)
    assert "gateway stopped" in service.events
    assert service.processes == []


def test_a_program_that_exits_again_and_again_ends_the_service_with_a_failure(start, tmp_path):
    """Five exits soon after each other count, though each start went well and each status was 0; no child is left."""
    text = (ROOT / "supervisord.conf").read_text().replace("startsecs=10", "startsecs=0")
    (tmp_path / "supervisord.conf").write_text(text)
    (tmp_path / "gateway").symlink_to(ROOT / "gateway")
    shutil.copy(ROOT / "entrypoint.sh", tmp_path)
    service = start(entrypoint=tmp_path / "entrypoint.sh", STANDIN_GENAI="exit")
    assert service.process.wait(60) == 1
    assert "stopped: genai exited 5 times" in service.stderr.splitlines()[-1]
    assert sum(line.startswith("genai left") for line in service.events) >= 5
    assert service.processes == []


def test_external_backend_starts_no_genai_program(start):
    """With GENAI_BACKEND=external supervisord knows the gateway and the listener only."""
    service = start(GENAI_BACKEND="external", VLM_URLS="http://127.0.0.1:1/v1")
    service.started("gateway")
    assert {line.split()[0] for line in service.ctl("status").splitlines()} == {"gateway", "listener"}
    assert service.stop() == 0
    assert service.pids("genai") == []


def test_two_services_live_side_by_side(start):
    """Two instances with their own ports and folders start and stop without touching each other."""
    one, two = start(), start()
    one.started("gateway", "genai")
    two.started("gateway", "genai")
    assert one.stop() == 0
    assert "RUNNING" in two.ctl("status") or "STARTING" in two.ctl("status")
    assert two.stop() == 0


def test_shutdown_by_supervisorctl_is_a_requested_stop(start):
    """An operator's `supervisorctl shutdown` ends with 0."""
    service = start()
    service.started("gateway", "genai")
    assert "Shut down" in service.ctl("shutdown")
    assert service.process.wait(30) == 0
    assert service.processes == []


def test_reload_starts_everything_again_and_goes_on(start):
    """After an operator's `supervisorctl reload` both programs are new, logs go on, and it ends with 0."""
    service = start()
    service.started("gateway", "genai")
    assert "Restarted supervisord" in service.ctl("reload")
    service.started("gateway", "genai", times=2)
    own = f"started {service.pids('gateway')[1]}"
    service.until(lambda: f"gateway | {own}" in service.stdout, "the line on stdout")
    assert service.stop() == 0
    assert service.processes == []
