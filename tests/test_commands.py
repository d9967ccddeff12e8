"""`parse` and `check` work without HTTP of ours, over the same pipeline, and their exit status is true."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import documents
import pytest
from PIL import Image
from vlm_standin import Standin

from gateway.api import schemas

ROOT = Path(__file__).parent.parent


def gateway(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LAYOUT_DETECTOR": "whole-page", "REQUEST_TIMEOUT_S": "20", **variables}
    command = [sys.executable, "-m", "gateway", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.png"
    path.write_bytes(documents.png("Hello"))
    return path


def test_parse_prints_markdown_alone(page: Path) -> None:
    """stdout has the Markdown and nothing else; the progress goes to stderr."""
    with Standin(answer=lambda asked: "Привет, мир") as vlm:
        done = gateway("parse", page, VLM_URLS=vlm.url)
    assert (done.returncode, done.stdout) == (0, "Привет, мир\n")
    assert "page 1" in done.stderr


def test_parse_prints_the_whole_document_as_json(page: Path) -> None:
    """`--json` has what `/ocr` answers."""
    with Standin(answer=lambda asked: "Hello") as vlm:
        done = gateway("parse", "--json", page, VLM_URLS=vlm.url)
    document = schemas.DocumentShape.model_validate(json.loads(done.stdout))
    assert document.pages[0].blocks[0].content == "Hello"


def test_parse_draws_what_it_found(page: Path, tmp_path: Path) -> None:
    """`--overlay` writes a PNG a page, as large as the page, with something drawn on it."""
    with Standin(answer=lambda asked: "Hello") as vlm:
        done = gateway("parse", "--overlay", tmp_path / "drawn", page, VLM_URLS=vlm.url)
    assert (done.returncode, done.stdout) == (0, "Hello\n")
    with Image.open(tmp_path / "drawn" / "page.png.1.png") as drawn, Image.open(page) as given:
        assert (drawn.format, drawn.size) == ("PNG", (400, 200))
        assert drawn.tobytes() != given.tobytes()


def test_parse_goes_on_after_a_bad_file_and_fails_at_the_end(page: Path, tmp_path: Path) -> None:
    """One bad file costs itself, is named, and is seen in the exit status."""
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(b"%PDF-1.7 and no more")
    with Standin(answer=lambda asked: "Hello") as vlm:
        done = gateway("parse", bad, tmp_path / "missing.png", page, VLM_URLS=vlm.url)
    assert (done.returncode, done.stdout) == (1, "Hello\n")
    assert "bad.pdf" in done.stderr
    assert "missing.png" in done.stderr


def test_parse_without_a_backend_says_so(page: Path) -> None:
    """No backend is an error in words, not a traceback."""
    done = gateway("parse", page, VLM_URLS=Standin().url, REQUEST_TIMEOUT_S="1")
    assert done.returncode == 1
    assert "No backend at" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_shows_every_setting_and_that_all_is_fit() -> None:
    """Every variable in force, no secret, the backend, the layout model."""
    with Standin() as vlm:
        done = gateway("check", VLM_URLS=vlm.url, GATEWAY_API_KEYS="hush-hush")
    assert done.returncode == 0, done.stdout
    assert f"VLM_URLS={vlm.url}\n" in done.stdout
    assert f"backend {vlm.url}: ready\n" in done.stdout
    assert "layout: whole-page\n" in done.stdout
    assert done.stdout.endswith("fit\n")
    assert "hush" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"VLM_URLS": "http://127.0.0.1:9/v1"}, "backend http://127.0.0.1:9/v1: "),
        ({"LAYOUT_DETECTOR": "paddlex", "LAYOUT_MODEL_DIR": "/nowhere"}, "/nowhere"),
    ],
)
def test_check_says_what_is_not_fit(variables: dict[str, str], word: str) -> None:
    """A backend that is away or a model that is not there makes the exit status 1, and is named."""
    with Standin() as vlm:
        done = gateway("check", **{"VLM_URLS": vlm.url, **variables})
    assert done.returncode == 1
    assert word in done.stdout
    assert done.stdout.endswith("not fit\n")
