"""What entrypoint.sh checks and writes before it starts anything."""

import re
import socket
from pathlib import Path

import pytest
import weights_files
import yaml
from weights_files import write

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
    write(tmp_path, weights_files.VLM)
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
        "scheduling-policy": "priority",
    }
    assert service.stop() == 0


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "inference.onnx"])
def test_weights_that_are_not_whole_are_told(start, tmp_path, missing):
    """Before anything starts, a folder that was copied in part is told by the file that it lacks."""
    write(tmp_path, {**weights_files.VLM, **weights_files.LAYOUT})
    (tmp_path / missing).unlink()
    stderr, status = words_and_status(start(VLM_MODEL_DIR=str(tmp_path), LAYOUT_MODEL_DIR=str(tmp_path)))
    assert status == 2
    variable = "LAYOUT_MODEL_DIR" if missing == "inference.onnx" else "VLM_MODEL_DIR"
    lacks = missing.replace("model.", "*.")
    assert [line for line in stderr.splitlines()] == [f"entrypoint | {variable}: no {lacks} in {tmp_path}"]


@pytest.mark.parametrize(
    ("backend", "cached"),
    [
        ("paddlex", ".paddlex/official_models/PaddleOCR-VL-1.5"),
        ("vllm", ".cache/huggingface/hub/models--PaddlePaddle--PaddleOCR-VL-1.5"),
    ],
)
def test_without_a_network_missing_models_are_told(start, tmp_path, backend, cached):
    """HF_HUB_OFFLINE says that there is none: what is neither named nor cached ends the start; cached models do."""
    offline = {"GENAI_BACKEND": backend, "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "LAYOUT_DETECTOR": "paddlex"}
    stderr, status = words_and_status(start(**offline))
    assert status == 2
    for variable, name in (("VLM_MODEL_DIR", Path(cached).name), ("LAYOUT_MODEL_DIR", "PP-DocLayoutV3_onnx")):
        assert f"{variable}: is not set, there is no {name} in {tmp_path}/" in stderr
    assert "scripts/fetch-weights" in stderr
    for folder in (cached, ".paddlex/official_models/PP-DocLayoutV3_onnx"):
        (tmp_path / folder).mkdir(parents=True)
    service = start(**offline)
    service.started("genai", "gateway")
    assert service.stop() == 0


def test_with_a_network_a_download_is_announced(start):
    """Minutes of silence in which a hub is asked are explained beforehand."""
    service = start()
    service.started("genai")
    assert "VLM_MODEL_DIR is not set and there is no models--PaddlePaddle--PaddleOCR-VL-1.5 in " in service.stderr
    assert service.stop() == 0


def test_its_own_variables_are_documented():
    """Every variable in the head of entrypoint.sh has a row in docs/operations.md, and no other has."""
    told = re.findall(r"^#   ([A-Z_]+) ", (ROOT / "entrypoint.sh").read_text(), flags=re.M)
    section = (ROOT / "docs" / "operations.md").read_text().split("## Variables of the processes")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([A-Z_]+)` \|", section, flags=re.M)
    assert told == rows
