"""The processes that are measured, started and ended: stand-in VLM, gateway, official server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Server:
    """`pid` is the root of its process tree, `dialect` and `url` are what `load.py` needs; `beside` are the roots of
    other trees that were started with it."""

    name: str
    pid: int
    url: str
    dialect: str = "ocr"
    beside: tuple[int, ...] = ()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def standin(kit: Path, arguments: Sequence[str], python: str = sys.executable) -> Iterator[str]:
    """A stand-in VLM; gives its root URL."""
    port = free_port()
    command = [python, str(kit / "vlm_standin.py"), "--port", str(port), *arguments]
    with _running(command, {}, f"http://127.0.0.1:{port}/health", Path(os.devnull)):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def gateway(vlms: Sequence[str], layout: Path, log: Path, settings: dict[str, str]) -> Iterator[Server]:
    """This project's server with the layout model in `layout`, the answers' cache off."""
    port = free_port()
    environment = {
        "GATEWAY_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "GENAI_BACKEND": "external",
        "VLM_URLS": ",".join(f"{url}/v1" for url in vlms),
        "LAYOUT_DETECTOR": "paddlex",
        "LAYOUT_MODEL_NAME": f"PP-DocLayout{layout.name[:2]}",
        "LAYOUT_MODEL_DIR": str(layout),
        "LOG_LEVEL": "warning",
        "CACHE_MB": "0",
        **settings,
    }
    command = [sys.executable, "-m", "gateway", "serve"]
    with _running(command, environment, f"http://127.0.0.1:{port}/health/ready", log) as pid:
        yield Server("gateway", pid, f"http://127.0.0.1:{port}/ocr")


@contextmanager
def official(
    kit: Path, venv: Path, layout: Path, folder: Path, standin_arguments: Sequence[str], *, tuned: bool
) -> Iterator[tuple[Server, str]]:
    """The official server, as it comes or at its fairest; with its own stand-in, whose root URL is the second.

    Tuned: no queues, calls not serialised. Both: the layout model through onnxruntime, no drawings.
    """
    port, vlm = free_port(), free_port()
    environment = {
        "FONT": "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",  # for drawings, which are off
        **os.environ,
        "VENV": str(venv),
        "VISUALIZE": "0",
        "STANDIN_ARGS": " ".join(standin_arguments),
    }
    if tuned:
        environment |= {"USE_QUEUES": "0", "PEER_ENV": "PADDLE_PDX_SERVING_SERIAL_PIPELINE_CALLS=0"}
    script = str(kit / "run_peer.sh")
    engine = "onnxruntime" if (layout / "inference.onnx").exists() else ""
    command = [script, str(folder), layout.name[:2], str(layout), str(port), str(vlm), engine]
    with (folder.parent / f"{folder.name}.out").open("w") as out:
        subprocess.run(command, env=environment, stdout=out, stderr=out, check=True)
    try:
        pid = int((folder / "peer.pid").read_text())
        name = "official, tuned" if tuned else "official, default"
        beside = (int((folder / "standin.pid").read_text()),)
        url = f"http://127.0.0.1:{port}/layout-parsing"
        yield Server(name, pid, url, "layout-parsing", beside), f"http://127.0.0.1:{vlm}"
    finally:
        subprocess.run([script, "stop", str(folder)], check=True)


@contextmanager
def official_preparing(
    kit: Path, venv: Path, layout: Path, steps: tuple[Path, Path], folder: Path, standin_arguments: Sequence[str]
) -> Iterator[tuple[Server, str]]:
    """The official server, tuned, with models that turn and flatten pages, which the kit's own script leaves out."""
    (configs,) = venv.glob("lib/python*/site-packages/paddlex/configs/pipelines")
    name = "PaddleOCR-VL.yaml" if layout.name.startswith("V2") else "PaddleOCR-VL-1.5.yaml"
    pipeline = yaml.safe_load((configs / name).read_text())
    onnx = {"engine": "onnxruntime"}
    pipeline |= {"use_queues": False, "use_doc_preprocessor": True}
    pipeline["Serving"]["visualize"] = False
    pipeline["SubModules"]["LayoutDetection"] |= {"model_dir": str(layout), **onnx}
    models = pipeline["SubPipelines"]["DocPreprocessor"]["SubModules"]
    for module, step in zip(("DocOrientationClassify", "DocUnwarping"), steps, strict=True):
        models[module] |= {"model_dir": str(step), **onnx}
    folder.mkdir()
    environment = {
        "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK": "True",
        "PADDLE_PDX_LOCAL_FONT_FILE_PATH": str(ROOT / "gateway/regions/wqy-microhei.ttf"),
        "PADDLE_PDX_SERVING_SERIAL_PIPELINE_CALLS": "0",
    }
    port = free_port()
    command = [str(venv / "bin/paddlex"), "--serve", "--pipeline", str(folder / "pipeline.yaml")]
    command += ["--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    with standin(kit, standin_arguments, str(venv / "bin/python")) as vlm:
        genai = {"backend": "vllm-server", "server_url": f"{vlm}/v1"}
        pipeline["SubModules"]["VLRecognition"]["genai_config"] = genai
        (folder / "pipeline.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))
        with _running(command, environment, f"http://127.0.0.1:{port}/health", folder / "peer.log") as pid:
            yield Server("official, preparing", pid, f"http://127.0.0.1:{port}/layout-parsing", "layout-parsing"), vlm


@contextmanager
def _running(command: Sequence[str], environment: dict[str, str], ready: str, log: Path) -> Iterator[int]:
    with log.open("w") as out:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=out, stderr=out, cwd=ROOT)
    try:
        _wait(ready, process)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"{url} is not ready after {seconds:g} s")
