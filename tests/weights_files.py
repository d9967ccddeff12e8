"""Small folders in the shape of the models' weights."""

from __future__ import annotations

import json
from pathlib import Path


def safetensors(data: int = 16) -> bytes:
    """One tensor of `data` bytes."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [data], "data_offsets": [0, data]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(data)


VLM = {
    "config.json": b"{}",
    "preprocessor_config.json": b"{}",
    "tokenizer.json": b"{}",
    "model.safetensors": safetensors(),
}
LAYOUT = {"inference.yml": b"Global: {model_name: PP-DocLayoutV3}\n", "inference.onnx": b"onnx"}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder
