from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from layout_models import build

from gateway.document import Region
from gateway.errors import LayoutUnavailable
from gateway.layout.choose import load_detector

FRESH = """
import sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise SystemExit(f"{event} {arguments}")

sys.addaudithook(refuse)
from gateway.layout.choose import load_detector
heavy = {"paddlex", "onnxruntime", "cv2", "rapid_layout"} & set(sys.modules)
print(*heavy, load_detector("auto", model_name="PP-DocLayoutV2").name)
"""


def automatic(cache: Path) -> str:
    """What `auto` takes in a fresh process without any network, with the given folder as PaddleX's cache."""
    done = subprocess.run(
        [sys.executable, "-c", FRESH],
        env=os.environ | {"PADDLE_PDX_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)


def test_auto_takes_paddlex_with_the_folder_given(tmp_path: Path) -> None:
    """PaddleX is installed and its model is here: nothing is better."""
    assert load_detector("auto", model_name="PP-DocLayoutV3", model_dir=str(build("V3", tmp_path))).name == (
        "PP-DocLayoutV3"
    )


def test_auto_takes_the_model_in_paddlexs_cache(tmp_path: Path) -> None:
    """A model fetched before is used, and importing the choice has loaded no library."""
    build("V2", tmp_path / "official_models" / "PP-DocLayoutV2_onnx")
    assert automatic(tmp_path) == "PP-DocLayoutV2"


def test_auto_downloads_nothing(tmp_path: Path) -> None:
    """Without a model on this machine, `auto` takes the next detector instead of asking a hub."""
    assert automatic(tmp_path) == "rapid-layout"


def test_auto_takes_cpu_without_paddlex(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The second best, and the log says why."""
    without(monkeypatch, "paddlex")
    with caplog.at_level("INFO"):
        assert load_detector("auto").name == "rapid-layout"
    assert "paddlex is not installed" in caplog.text


def test_auto_takes_the_whole_page_with_nothing_installed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """There is always a detector; a bad one is warned of."""
    without(monkeypatch, "paddlex", "rapid_layout")
    assert load_detector("auto").name == "whole-page"
    assert "rapid_layout is not installed" in caplog.text


def test_auto_does_not_hide_a_broken_model(tmp_path: Path) -> None:
    """A model that is there and does not load is an error, not a reason to read worse without a word."""
    build("V2", tmp_path)
    (tmp_path / "inference.onnx").write_bytes(b"no model")
    with pytest.raises(LayoutUnavailable):
        load_detector("auto", model_name="PP-DocLayoutV2", model_dir=str(tmp_path))


@pytest.mark.parametrize(("kind", "package"), [("paddlex", "paddlex"), ("cpu", "rapid_layout")])
def test_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch, kind: str, package: str) -> None:
    """What was asked for and is not installed is an error that says what to install."""
    without(monkeypatch, package)
    with pytest.raises(LayoutUnavailable, match=rf"\[{kind}\]"):
        load_detector(kind)  # type: ignore[arg-type]


def test_whole_page_is_one_region_a_page() -> None:
    """The region covers the page and is read as text."""
    pages = [np.zeros((20, 30, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)]
    assert load_detector("whole-page").detect(pages) == [
        (Region("text", (0, 0, 30, 20), 1.0, order=0),),
        (Region("text", (0, 0, 4, 5), 1.0, order=0),),
    ]
