"""Which reading of a line is believed."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from gateway.cpu_backend.script import (
    LatinReading,
    fits_cyrillic,
    is_ideographic,
    plainly_cyrillic,
    prefers_tesseract,
    unified,
    with_dash,
)
from gateway.cpu_backend.tesseract import Guess
from gateway.document import Pixels


def line(text: str) -> Pixels:
    image = Image.new("RGB", (24 * len(text) + 20, 50), "white")
    ImageDraw.Draw(image).text((10, 5), text, font=ImageFont.load_default(32), fill="black")
    return np.asarray(image)


@pytest.mark.parametrize("read", ["Sheets scanned", "17,759.00", "x12 @1.49"])
def test_a_line_read_whole_is_not_sparse(read: str) -> None:
    """Every glyph became a character."""
    assert not LatinReading.of(read, line(read)).sparse


@pytest.mark.parametrize(
    ("read", "stands"), [("S d", "Sheets scanned"), ("16  2024 .", "16 Febrary 2024"), ("", "Total")]
)
def test_a_line_read_in_part_is_sparse(read: str, stands: str) -> None:
    """Most glyphs were left out, as RapidOCR does with Cyrillic."""
    assert LatinReading.of(read, line(stands)).sparse


def test_ideographs_are_many_glyphs() -> None:
    """Chinese is never sparse, whatever the count of its strokes."""
    assert not LatinReading.of("八", line("nine glyphs")).sparse
    assert LatinReading("百分之九十五", False).beyond_doubt


@pytest.mark.parametrize(
    ("text", "certain"),
    [
        ("Sheets scanned", True),
        ("203,626.07", True),
        ("Größe", True),
        ("TOTAL", False),
        ("BCETO", False),
        ("no", False),
    ],
)
def test_letters_that_cyrillic_lacks_leave_no_doubt(text: str, certain: bool) -> None:
    """Numbers and words with letters such as d, l or s are not asked about; lines of twins are."""
    assert LatinReading(text, False).beyond_doubt is certain


@pytest.mark.parametrize(
    ("rapid", "sparse", "tesseract", "confidence", "expected"),
    [
        ("", True, "Решение", 96, True),
        ("IIPOTOKOJI Ng 0136", False, "ПРОТОКОЛ № 0136", 95, True),
        ("BCETO", False, "ВСЕГО", 96, True),
        ("HeT", False, "нет", 96, False),
        ("TOTAL", False, "ТОТАL", 90, False),
        ("VAT", False, "УАТ", 95, False),
        ("more 96278", False, "тоге 96278", 94, False),
        ("Card VISA", False, "Сага VISA", 80, False),
        ("", True, "и ч", 12, False),
        ("Total", True, "Total", 95, False),
    ],
)
def test_a_line_in_doubt_is_cyrillic_on_evidence_only(
    rapid: str, sparse: bool, tesseract: str, confidence: float, expected: bool
) -> None:
    """Gaps, the number sign, or capitals that hide Cyrillic; what could be either stays Latin."""
    assert prefers_tesseract(LatinReading(rapid, sparse), Guess(tesseract, confidence)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("По результатам рассмотрения", True),
        ("hours=168. Поддержка: support@example.com, тел. 12", True),
        ("Sheets scanned, rejected and cost рег year", False),
        ("Restart the broker", False),
        ("1 097 300,50", False),
        ("с", False),
    ],
)
def test_among_cyrillic_lines_words_tell(text: str, expected: bool) -> None:
    """Russian words of some length make a line Cyrillic by themselves, one misread English word does not."""
    assert plainly_cyrillic(Guess(text, 93)) is expected


def test_a_number_among_cyrillic_lines_is_rapidocrs() -> None:
    """Tesseract's letter for a digit is not believed; a letter read in part is Tesseract's."""
    assert not fits_cyrillic(LatinReading("2", False), Guess("с", 90))
    assert fits_cyrillic(LatinReading("", True), Guess("А. И.", 90))
    assert fits_cyrillic(LatinReading("A.", False), Guess("А.", 90))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Щербакова H. Ю.", "Щербакова Н. Ю."),
        ("KOMиссия", "КОМиссия"),
        ("№ n/n", "№ п/п"),
        ("сайт kafka.apache.org", "сайт kafka.apache.org"),
        ("Windows-сервер", "Windows-сервер"),
    ],
)
def test_twins_in_cyrillic_words_become_cyrillic(text: str, expected: str) -> None:
    """Letters of the wrong alphabet are mended, Latin words stay."""
    assert unified(text) == expected


def test_a_lone_stroke_is_a_dash_where_nothing_is_chinese() -> None:
    """RapidOCR takes a dash in a cell for the number one."""
    assert (with_dash("一"), is_ideographic("一")) == ("—", False)
    assert is_ideographic("一月")
