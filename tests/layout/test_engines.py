"""PaddleX's engines side by side, each with the same tiny models."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import layout_models
import pytest

pytest.importorskip("paddlex")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.timeout(300)
@pytest.mark.skipif(find_spec("paddle") is None, reason="paddlepaddle has no wheel for this machine")
def test_the_engines_agree_and_pages_in_parallel_are_answered_as_alone(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    """`paddle_static` and `onnxruntime` load the same models through PaddleX: V2 and V3, 15 pages of five sizes."""
    folders = {kind: (tmp_path / f"{kind}-paddle", layout_models.build(kind, tmp_path / kind)) for kind in ("V2", "V3")}  # type: ignore[arg-type]
    _run("tests/paddle_models.py", *(f"{kind}={paddles}" for kind, (paddles, _) in folders.items()))
    said = _run("bench/engines.py", *(f"{kind}={paddles},{onnx}" for kind, (paddles, onnx) in folders.items()))
    assert said == [
        line
        for kind in ("V2", "V3")
        for line in (
            f"{kind} paddle_static: 15 pages in parallel as alone",
            f"{kind} onnxruntime: 15 pages in parallel as alone",
            f"{kind}: the engines agree on 15 of 15 pages, to a pixel",
        )
    ]
    for line in said:
        figures(line)


def _run(*command: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PATH": "/usr/bin:/bin", "HOME": str(Path.home())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout.splitlines()
