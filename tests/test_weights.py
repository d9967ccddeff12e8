"""What is wrong with a folder of weights is told by the names of its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from weights_files import LAYOUT, VLM, safetensors, write

from gateway.weights import layout_problems, main, vlm_problems


def test_whole_folders_have_no_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights in one file or in several, and a layout model, pass."""
    assert vlm_problems(write(tmp_path / "vlm", VLM)) == []
    assert layout_problems(write(tmp_path / "layout", LAYOUT), "onnxruntime") == []
    index = json.dumps({"weight_map": {"w": "model-1-of-1.safetensors"}}).encode()
    sharded = {"model.safetensors.index.json": index, "model-1-of-1.safetensors": safetensors()}
    rest = {name: content for name, content in VLM.items() if name != "model.safetensors"}
    assert vlm_problems(write(tmp_path / "shards", rest | sharded)) == []
    assert (main("vlm", str(tmp_path / "vlm")), capsys.readouterr().out) == (0, "")


@pytest.mark.parametrize("name", VLM)
def test_a_missing_file_of_the_vlm_is_named(tmp_path: Path, name: str) -> None:
    """Each file that vLLM cannot do without is asked for."""
    folder = write(tmp_path, {other: content for other, content in VLM.items() if other != name})
    (problem,) = vlm_problems(folder)
    assert Path(name).suffix in problem and problem.startswith("no ")


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    """The index tells which files the weights are in."""
    index = json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}).encode()
    folder = write(tmp_path, VLM | {"model.safetensors.index.json": index, "one.safetensors": safetensors()})
    assert vlm_problems(folder) == [f"no two.safetensors in {folder}"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "is a pointer of Git LFS"),
        (safetensors(400)[:-1], "is cut short: "),
        (safetensors()[:20], "is cut short: "),
        (b"\x02\0\0\0\0\0\0\0<html>", "is no safetensors file"),
    ],
)
def test_weights_that_are_not_all_there_are_told(tmp_path: Path, content: bytes, words: str) -> None:
    """A copy that broke off, and a pointer in a file's place, are found without reading gigabytes."""
    (problem,) = vlm_problems(write(tmp_path, VLM | {"model.safetensors": content}))
    assert words in problem


@pytest.mark.parametrize(
    ("engine", "missing"),
    [("onnxruntime", "inference.onnx"), ("paddle_static", "inference.pdiparams"), ("transformers", "inference.yml")],
)
def test_what_a_layout_model_lacks_depends_on_its_engine(tmp_path: Path, engine: str, missing: str) -> None:
    """Each engine has files of its own."""
    assert f"no {missing} in {tmp_path}" in layout_problems(tmp_path, engine)


def test_problems_are_lines_and_a_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m gateway.weights` is for scripts; a file that is no JSON is a problem too, not a traceback."""
    assert main("layout", str(tmp_path), "onnxruntime") == 1
    assert capsys.readouterr().out.splitlines() == [f"no inference.{end} in {tmp_path}" for end in ("yml", "onnx")]
    write(tmp_path, VLM | {"model.safetensors.index.json": b"<html>"})
    assert main("vlm", str(tmp_path)) == 1
    assert capsys.readouterr().out.startswith("cannot read ")
