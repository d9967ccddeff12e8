"""What entrypoint.sh checks and writes before it starts anything."""

import json
import re
import socket
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def words_and_status(service) -> tuple[str, int]:
    status = service.process.wait(30)
    return service.stderr, status


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"GENAI_BACKEND": "gpu"}, 'GENAI_BACKEND: "gpu" is none of paddlex, vllm, cpu, external'),
        ({"GENAI_BACKEND": "external"}, "VLM_URLS: GENAI_BACKEND=external needs"),
        ({"GATEWAY_PORT": "80081"}, 'GATEWAY_PORT: "80081" is no port'),
        ({"GENAI_PORT": "x"}, 'GENAI_PORT: "x" is no port'),
        ({"GENAI_PORT": "7", "GATEWAY_PORT": "7"}, "GENAI_PORT and GATEWAY_PORT are both 7"),
        ({"DRAIN_S": "1m"}, 'DRAIN_S: "1m" is no decimal'),
        ({"GPU_MEMORY_UTILIZATION": "half"}, 'GPU_MEMORY_UTILIZATION: "half" is no decimal'),
        ({"MAX_MODEL_LEN": "8k"}, 'MAX_MODEL_LEN: "8k" is no integer'),
        ({"VLM_MODEL_DIR": "/nowhere"}, "VLM_MODEL_DIR: no config.json in /nowhere"),
        ({"LAYOUT_MODEL_DIR": "/nowhere"}, "LAYOUT_MODEL_DIR: no inference.yml in /nowhere"),
        ({"GENAI_CONFIG": "/nowhere.yaml"}, "GENAI_CONFIG: cannot read /nowhere.yaml"),
        ({"GATEWAY_PYTHON": "/bin/false"}, "GATEWAY_PYTHON: /bin/false is no Python 3.11 or newer"),
        ({"RUN_DIR": "/proc/run"}, "RUN_DIR: cannot write to /proc/run"),
        ({"RUN_DIR": "run"}, 'RUN_DIR: "run" is no absolute path'),
        ({"PATH": "/usr/bin:/bin"}, "GENAI_BACKEND: vllm needs vllm, which is not on the PATH"),
    ],
)
def test_wrong_settings_are_told_by_name(start, environment, words):
    """A setting that cannot work ends the start with status 2 and a sentence that begins with its name."""
    stderr, status = words_and_status(start(**environment))
    assert status == 2
    assert f"entrypoint | {words}" in stderr


def test_all_wrong_settings_are_told_at_once(start):
    """Two mistakes give two sentences, not one per try."""
    stderr, _ = words_and_status(start(GENAI_BACKEND="gpu", DRAIN_S="soon"))
    assert "GENAI_BACKEND:" in stderr and "DRAIN_S:" in stderr


def test_a_taken_port_is_told(start):
    """A port that somebody listens on is named, with the variable that changes it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stderr, status = words_and_status(start(GATEWAY_PORT=str(port)))
    assert status == 2
    assert f"GATEWAY_PORT: port {port} is taken" in stderr


@pytest.mark.skipif(bool(list(Path("/dev").glob("nvidia[0-9]*"))), reason="this machine has a GPU")
def test_a_missing_gpu_is_told(start, tmp_path):
    """Without a GPU the vLLM backends are refused, with the way to try the service without one."""
    (tmp_path / "vllm").write_text("#!/bin/sh\n")
    (tmp_path / "vllm").chmod(0o755)
    stderr, status = words_and_status(start(PATH=f"{tmp_path}:/usr/bin:/bin"))
    assert status == 2
    assert "GENAI_BACKEND: vllm needs an NVIDIA GPU and none is visible" in stderr
    assert "GENAI_BACKEND=cpu" in stderr


def test_a_run_dir_in_use_is_refused(start):
    """A second service in the same folder ends at once and leaves the first one's files alone."""
    first = start()
    first.started("gateway", "genai")
    stderr, status = words_and_status(start(RUN_DIR=str(first.run_dir)))
    assert status == 2
    assert "RUN_DIR: another service runs in" in stderr
    assert first.stop() == 0


def test_paddlex_server_gets_its_flags_and_its_config(start, tmp_path):
    """GENAI_BACKEND=paddlex runs paddlex_genai_server as its documentation says, with vLLM's options in a YAML file."""
    (tmp_path / "config.json").write_text(json.dumps({}))
    service = start(GENAI_BACKEND="paddlex", VLM_MODEL_DIR=str(tmp_path), GPU_MEMORY_UTILIZATION="0.7")
    service.started("genai")
    config = service.run_dir / "vllm.yaml"
    assert (
        service.events[[line.split()[0] for line in service.events].index("genai")].split()[3:]
        == (
            f"paddlex_genai_server --model_name PaddleOCR-VL-1.5-0.9B --backend vllm --host 127.0.0.1 "
            f"--port {service.genai_port} --backend_config {config} --model_dir {tmp_path}"
        ).split()
    )
    assert yaml.safe_load(config.read_text()) == {
        "trust-remote-code": True,
        "gpu-memory-utilization": 0.7,
        "max-model-len": 16384,
        "max-num-batched-tokens": 16384,
        "no-enable-prefix-caching": True,
        "mm-processor-cache-gb": 0,
        "disable-uvicorn-access-log": True,
    }
    assert service.stop() == 0


def test_its_own_variables_are_documented():
    """Every variable in the head of entrypoint.sh has a row in docs/operations.md, and no other has."""
    told = re.findall(r"^#   ([A-Z_]+) ", (ROOT / "entrypoint.sh").read_text(), flags=re.M)
    rows = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs" / "operations.md").read_text(), flags=re.M)
    assert told == rows
