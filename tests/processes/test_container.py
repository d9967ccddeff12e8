"""The service as a container runs it: process 1, a plain user, a read-only root."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTAINER = f"""
mount --bind "$HOME" "$HOME" && mount -o remount,bind,ro / || exit 99
exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps +dac_read_search --ambient-caps +dac_read_search \\
  {ROOT}/entrypoint.sh
"""


def may_unshare() -> bool:
    tools = shutil.which("unshare") and shutil.which("setpriv")
    return (
        bool(tools) and subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False).returncode == 0
    )


pytestmark = pytest.mark.skipif(not may_unshare(), reason="needs the right to make namespaces")


def test_service_as_process_one_of_a_read_only_container(start, tmp_path):
    """As process 1 and a plain user it writes to RUN_DIR alone, reaps orphans, and ends with 0 on SIGTERM."""
    container = tmp_path / "container"
    container.write_text(f"#!/bin/sh\nexec unshare --mount --pid --fork --mount-proc sh -c '{CONTAINER}'\n")
    container.chmod(0o755)
    service = start(entrypoint=container, owner=65534, STANDIN_GATEWAY="orphan")
    service.until(lambda: "gateway reaped" in service.events, f"the reaped orphan: {service.stderr}")
    inner = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text()
    assert os.stat(f"/proc/{inner.strip()}").st_uid == 65534
    os.kill(int(inner), signal.SIGTERM)
    assert service.process.wait(30) == 0
    assert "gateway stopped" in service.events
