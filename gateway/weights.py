"""Is a folder of weights whole: `python -m gateway.weights vlm|layout FOLDER [ENGINE]` says what is missing.

Asked by `entrypoint.sh` before anything starts and by `scripts/fetch-weights` after a download, so that a folder that
was copied in part is told by the names of its files, not by a traceback minutes later.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

_VLM = ("config.json", "preprocessor_config.json", "tokenizer.json or tokenizer.model", "*.safetensors")
_LAYOUT = {
    "onnxruntime": ("inference.yml", "inference.onnx"),
    "paddle_static": ("inference.yml", "inference.json or inference.pdmodel", "inference.pdiparams"),
}
_POINTER = b"version https://git-lfs"


def vlm_problems(folder: Path) -> list[str]:
    """What keeps vLLM from loading `folder`; nothing when it looks whole."""
    problems = list(_missing(folder, _VLM))
    for index in sorted(folder.glob("*.safetensors.index.json")):
        shards = set(json.loads(index.read_text()).get("weight_map", {}).values())
        problems += [f"no {shard} in {folder}" for shard in sorted(shards) if not (folder / shard).is_file()]
    return problems + [problem for file in sorted(folder.glob("*.safetensors")) if (problem := _torn(file))]


def layout_problems(folder: Path, engine: str) -> list[str]:
    """What keeps PaddleX from loading `folder` with `engine`."""
    problems = list(_missing(folder, _LAYOUT.get(engine, ("inference.yml",))))
    files = sorted(folder.glob("inference.*"))
    return problems + [f"{file} is a pointer of Git LFS, not the file itself" for file in files if _is_pointer(file)]


def _missing(folder: Path, wanted: tuple[str, ...]) -> Iterator[str]:
    for names in wanted:
        if not any(any(folder.glob(name)) for name in names.split(" or ")):
            yield f"no {names} in {folder}"


def _is_pointer(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(_POINTER)) == _POINTER


def _torn(file: Path) -> str | None:
    """Why a safetensors file is not all there: its header, whose length comes first, says where the data ends."""
    if _is_pointer(file):
        return f"{file} is a pointer of Git LFS, not the file itself"
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > size:
            return f"{file} is cut short: {size} bytes"
        try:
            header = json.loads(stream.read(length))
        except ValueError:
            return f"{file} is no safetensors file"
    end = 8 + length + max((tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"))
    return f"{file} is cut short: {size} bytes of {end}" if size < end else None


def main(kind: str, folder: str, engine: str = "") -> int:
    """One line of stdout a problem; the status is 1 if there is one."""
    try:
        problems = vlm_problems(Path(folder)) if kind == "vlm" else layout_problems(Path(folder), engine)
    except (OSError, ValueError) as error:
        problems = [f"cannot read {folder}: {error}"]
    sys.stdout.write("".join(f"{problem}\n" for problem in problems))
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
