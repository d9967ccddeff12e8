"""Tesseract's command line, as it is installed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from gateway.cpu_backend.tesseract import Tesseract, TesseractFailed
from gateway.document import Pixels

pytestmark = pytest.mark.skipif(shutil.which("tesseract") is None, reason="Tesseract is not installed")


def line(text: str) -> Pixels:
    image = Image.new("RGB", (500, 50), "white")
    ImageDraw.Draw(image).text((10, 8), text, font=ImageFont.load_default(32), fill="black")
    return np.asarray(image)


def installed() -> Tesseract:
    tesseract = Tesseract.installed()
    assert tesseract is not None
    return tesseract


def go_on() -> None:
    pass


def test_its_languages_are_known() -> None:
    """What `--list-langs` lists, and nothing of its heading."""
    assert "eng" in installed().languages
    assert all(len(language) < 20 for language in installed().languages)


def test_lines_come_back_in_their_order() -> None:
    """One guess for each line; a blank one is an empty guess at its place."""
    guesses = installed().read([line("First of all"), line(""), line("Second to none")], "eng", go_on)
    assert [guess.text for guess in guesses] == ["First of all", "", "Second to none"]
    assert guesses[0].confidence > 80 > guesses[1].confidence == 0


def test_no_lines_start_no_process() -> None:
    """Nothing to read is nothing to do, even for a command that is not there."""
    assert Tesseract("/nowhere/tesseract", frozenset()).read([], "eng", go_on) == []


def test_what_it_complains_of_is_in_the_error() -> None:
    """Data that is not installed is an error with Tesseract's own words."""
    with pytest.raises(TesseractFailed, match="tlh"):
        installed().read([line("Qapla'")], "tlh", go_on)


def test_a_process_nobody_waits_for_is_ended(tmp_path: Path) -> None:
    """The checkpoint's error ends the program at once, and comes out."""
    sleeper = tmp_path / "tesseract"
    sleeper.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    sleeper.chmod(0o755)

    def gone() -> None:
        if (tmp_path / "pid").exists():
            raise InterruptedError

    with pytest.raises(InterruptedError):
        Tesseract(str(sleeper), frozenset()).read([line("x")], "eng", gone)
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()
