"""scripts/fetch-weights with PaddleX's real downloader, from a hub of our own on this machine."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from weights_files import LAYOUT, VLM

ROOT = Path(__file__).parents[2]
MODELS = {"PaddleOCR-VL-1.5": VLM, "PP-DocLayoutV3_onnx": LAYOUT}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """As much of Hugging Face's API as a download asks for."""

    models: dict[str, dict[str, bytes]]

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self) -> None:
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts == [""]:
            return self.answer(b"")
        api = parts[:2] == ["api", "models"]
        owner, name, *rest = parts[2:] if api else parts
        files = self.models.get(name) if owner == "PaddlePaddle" else None
        if files is None:
            return self.answer(b"{}", 404, X_Error_Code="RepoNotFound")
        if api:
            siblings = [{"rfilename": one} for one in files]
            tree = [{"type": "file", "path": one, "oid": "0", "size": len(files[one])} for one in files]
            if rest[0] == "tree":
                return self.answer(json.dumps(tree).encode(), Content_Type="application/json")
            body = {"id": f"{owner}/{name}", "_id": "1", "sha": COMMIT, "siblings": siblings, "tags": []}
            return self.answer(json.dumps(body).encode(), Content_Type="application/json")
        content = files[rest[-1]]
        etag = hashlib.sha1(content).hexdigest()
        return self.answer(content, ETag=f'"{etag}"', X_Repo_Commit=COMMIT)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def hub(models: dict[str, dict[str, bytes]]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), type("OurHub", (Hub,), {"models": models})) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def fetch(*arguments: object, endpoint: str = "http://127.0.0.1:9") -> subprocess.CompletedProcess[str]:
    """One run that knows no hub but `endpoint`."""
    environment = {
        **os.environ,
        "GATEWAY_PYTHON": sys.executable,
        "PADDLE_PDX_HUGGING_FACE_ENDPOINT": endpoint,
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }
    command = [ROOT / "scripts" / "fetch-weights", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)


def test_fetches_both_models_and_knows_them_again(tmp_path):
    """Both folders are whole, nothing else is left, what to set is told, and a change is found without a hub."""
    folder = tmp_path / "weights"
    with hub(MODELS) as endpoint:
        done = fetch(folder, endpoint=endpoint)
    assert done.returncode == 0, done.stderr
    assert f"VLM_MODEL_DIR={folder}/PaddleOCR-VL-1.5\n" in done.stderr
    assert f"LAYOUT_MODEL_DIR={folder}/PP-DocLayoutV3_onnx\n" in done.stderr
    assert {path.name for path in folder.iterdir()} == {*MODELS, "SHA256SUMS"}
    for name, files in MODELS.items():
        assert {path.name: path.read_bytes() for path in (folder / name).iterdir()} == files
    assert fetch("--verify", folder).returncode == 0
    (folder / "PP-DocLayoutV3_onnx" / "inference.onnx").write_bytes(b"other")
    (folder / "PaddleOCR-VL-1.5" / "config.json").unlink()
    again = fetch("--verify", folder)
    assert again.returncode == 1
    assert "PP-DocLayoutV3_onnx/inference.onnx differs" in again.stderr
    assert "PaddleOCR-VL-1.5/config.json is missing" in again.stderr


def test_a_hub_that_gives_half_a_model_is_told(tmp_path):
    """What came and cannot be loaded is named, and the folder does not get its sums."""
    torn = {name: content for name, content in VLM.items() if name != "tokenizer.json"}
    with hub(MODELS | {"PaddleOCR-VL-1.5": torn}) as endpoint:
        done = fetch(tmp_path, endpoint=endpoint)
    assert done.returncode == 1
    assert "no tokenizer.json or tokenizer.model in" in done.stderr
    assert not (tmp_path / "SHA256SUMS").exists()


def test_no_hub_in_reach_is_told(tmp_path):
    """Without a network it ends with 1 and a sentence, and leaves nothing behind."""
    done = fetch(tmp_path)
    assert done.returncode == 1
    assert "fetch-weights | could not fetch: " in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_uses_the_folder_names_what_is_in_it():
    """The image with weights and the volume of Kubernetes look where the fetched models are."""
    for user in ("docker/Dockerfile.weights", "deploy/components/weights-volume/kustomization.yaml"):
        assert set(re.findall(r"_MODEL_DIR=/weights/(\S+)", (ROOT / user).read_text())) == set(MODELS), user
    copied = re.findall(r"^COPY (\S+) ", (ROOT / "docker/Dockerfile.weights").read_text(), re.MULTILINE)
    assert set(copied) == set(MODELS)


@pytest.mark.parametrize("arguments", [(), ("--verify", "/nowhere")])
def test_wrong_use_is_told(arguments):
    """No folder, or one that was not fetched, is no success."""
    done = fetch(*arguments)
    assert done.returncode != 0
    assert "FOLDER" in done.stderr.upper() or "no SHA256SUMS in /nowhere" in done.stderr
