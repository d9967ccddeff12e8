"""The gateway's request for a new backend, at the real supervisord."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.vlm.restart import Restart

BESIDE = "http://127.0.0.1:8118/v1"


def variables(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(line.split("=", 1) for line in lines if "=" in line)


async def test_the_backend_beside_is_restarted_and_the_gateway_is_not(start) -> None:
    """supervisord tells its programs where it listens; a restart that was asked for counts as no failure."""
    service = start()
    service.started("gateway", "genai")
    restart = Restart(variables(service.pids("gateway")[0])["SUPERVISOR_SERVER_URL"], BESIDE)
    for times in range(6):
        assert await restart(BESIDE)
        service.started("genai", times=times + 2)
    assert not await restart("http://elsewhere:8118/v1")
    assert (len(service.pids("genai")), len(service.pids("gateway"))) == (7, 1)
    assert service.stop() == 0


async def test_a_backend_that_does_not_stop_is_killed_and_replaced(start) -> None:
    """A hung engine need not react to SIGTERM."""
    service = start(STANDIN_GENAI="deaf")
    service.started("gateway", "genai")
    restart = Restart(f"unix://{service.run_dir}/supervisor.sock", BESIDE)
    assert await restart(BESIDE)
    service.started("genai", times=2)
    old, new = service.pids("genai")
    with pytest.raises(ProcessLookupError):
        os.kill(old, 0)
    os.kill(new, 0)


async def test_a_backend_that_does_not_run_is_started(start) -> None:
    """What was stopped by hand is begun all the same."""
    service = start()
    service.started("gateway", "genai")
    service.ctl("stop", "genai")
    assert await Restart(f"unix://{service.run_dir}/supervisor.sock", BESIDE)(BESIDE)
    service.started("genai", times=2)


async def test_without_a_supervisord_nothing_happens(tmp_path: Path) -> None:
    """The failure is logged, and the service goes on."""
    assert not await Restart(f"unix://{tmp_path}/none.sock", BESIDE)(BESIDE)
