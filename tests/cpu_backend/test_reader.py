"""Crops read by the embedded recogniser, with the real models and the real Tesseract."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scoring import PAGES, distance, fold

from gateway.assemble.otsl import parse
from gateway.cpu_backend.rapid import RapidOcr
from gateway.cpu_backend.reader import Reader
from gateway.cpu_backend.recogniser import LineRecogniser
from gateway.cpu_backend.tesseract import Tesseract
from gateway.document import BBox, Pixels, Task
from gateway.errors import RegionFailed

RUSSIAN = (160, 328, 1492, 488)
ENGLISH = (130, 340, 787, 580)

needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="Tesseract is not installed")


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    reader = Reader()
    reader.load()
    yield reader


def crop(page: str, bbox: BBox = (0, 0, 10000, 10000), margin: int = 6) -> Pixels:
    pixels = np.asarray(Image.open(PAGES / page).convert("RGB"))
    x0, y0, x1, y1 = bbox
    return pixels[max(y0 - margin, 0) : y1 + margin, max(x0 - margin, 0) : x1 + margin]


def drawn(*texts: tuple[tuple[int, int], str], size: tuple[int, int]) -> Image.Image:
    image = Image.new("RGB", size, "white")
    for place, text in texts:
        ImageDraw.Draw(image).text(place, text, font=ImageFont.load_default(30), fill="black")
    return image


def tilted(pixels: Pixels, degrees: float) -> Pixels:
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    turn[:, 2] += 60
    return np.asarray(cv2.warpAffine(pixels, turn, (width + 120, height + 120), borderValue=(255, 255, 255)))


def test_an_english_paragraph_is_read_as_one(reader: Reader) -> None:
    """Its lines flow on, without an error."""
    text = reader.read(crop("en_a4.png", ENGLISH))
    assert "a surprising number of documents that were never indexed. Between 1954 and 1987" in text
    assert "\n" not in text


def test_the_lines_of_a_receipt_stay_lines(reader: Reader) -> None:
    """Each thing that was bought is a line."""
    lines = reader.read(crop("receipt.png", (40, 206, 545, 494))).splitlines()
    assert lines[0] == "Whole milk 2L 2.19"
    assert len(lines) == 8


@needs_tesseract
@pytest.mark.parametrize("language", ["", "ru", "rus", "ru-RU"])
def test_russian_is_read_with_the_hint_and_without(reader: Reader, language: str) -> None:
    """A paragraph that RapidOCR leaves blank without a word comes out right."""
    text = fold(reader.read(crop("ru_a4.png", RUSSIAN), language=language))
    wanted = (
        'Комиссия по осуществлению закупок муниципального казённого учреждения "Центр городского хозяйства" в составе: '
        "председатель комиссии - Ефимова Щербакова Н. Ю.; члены комиссии: Объедков А. И., Жукова Э. П., Цыганов В. Х. "
        "рассмотрела заявки участников электронного аукциона на поставку офисной бумаги формата А4 (плотность 80 г/м²) "
        "для нужд учреждения в 2024 году."
    )
    assert distance(wanted, text) <= 4


@needs_tesseract
def test_the_hint_is_honoured(reader: Reader) -> None:
    """With English as the hint nobody looks for Cyrillic, so nothing of it is found."""
    assert "аукцион" not in reader.read(crop("ru_a4.png", RUSSIAN), language="en")


def test_chinese_is_read(reader: Reader) -> None:
    """Lines of Chinese characters, with their punctuation."""
    text = reader.read(crop("zh_lines.png"))
    assert text.startswith("随着人工智能技术的快速发展，越来越多的企业开始将文档识别应用于日常办公流程。本报告介绍了")
    assert "用户满意度达到百分之九十五" in text


@needs_tesseract
def test_lines_of_two_scripts_are_each_read_by_the_one_who_can(reader: Reader) -> None:
    """A Russian line and an English one in one crop."""
    russian, english = crop("ru_a4.png", (160, 692, 762, 732)), crop("en_a4.png", (130, 894, 766, 929))
    width = max(russian.shape[1], english.shape[1])
    both = np.concatenate(
        [np.pad(part, ((8, 8), (0, width - part.shape[1]), (0, 0)), constant_values=255) for part in (russian, english)]
    )
    russian_text, english_text = (
        "Таблица 1. Сведения об участниках закупки",
        "Table 1. Sheets scanned, rejected and cost",
    )
    assert reader.read(both).startswith(f"{russian_text} {english_text}")


@needs_tesseract
def test_a_blank_to_fill_in_is_text(reader: Reader) -> None:
    """The rule between a word and a name comes out as underscores, about as many as there are."""
    text = reader.read(crop("ru_a4.png", (160, 1326, 882, 1366)))
    before, blank, after = text.partition("_" * 10)
    assert (before, blank) == ("Председатель комиссии ", "_" * 10)
    assert distance(" Щербакова Н. Ю.", after.lstrip("_")) <= 2


@pytest.mark.parametrize("degrees", [-6.0, 4.0])
def test_a_tilted_crop_keeps_its_rows(reader: Reader, degrees: float) -> None:
    """Names and prices far apart stay in one row, however the receipt lies."""
    text = reader.read(tilted(crop("receipt.png", (40, 206, 545, 494)), degrees))
    assert text.splitlines()[0] == "Whole milk 2L 2.19"
    assert text.splitlines()[-1] == "Coffee beans 1kg 13.75"
    assert len(text.splitlines()) == 8


def test_a_ruled_table_is_answered_in_otsl(reader: Reader) -> None:
    """Every cell of the sample table, in its row and column."""
    rows = parse(reader.read(crop("en_a4.png", (130, 939, 1524, 1275)), Task.TABLE))
    assert [[cell.text for cell in row] for row in rows][::5] == [
        ["Year", "Boxes", "Sheets scanned", "Rejected", "Cost, USD"],
        ["Total", "2,885", "473,549", "7,325", "203,626.07"],
    ]


@pytest.mark.parametrize("degrees", [0.0, -3.0])
def test_merged_cells_span(reader: Reader, degrees: float) -> None:
    """Cells joined over columns and rows are one cell with spans; text outside the rules stays, in rows of its own."""
    texts = ((60, 76), "Region"), ((330, 76), "Sales in 2023"), ((330, 146), "Spring"), ((600, 146), "Autumn")
    figures = ((60, 216), "North"), ((330, 216), "120"), ((600, 216), "140"), ((60, 10), "All figures in tons")
    image = drawn(*texts, *figures, size=(900, 300))
    for box in [(40, 60, 310, 200), (310, 60, 850, 130), (310, 130, 580, 200), (580, 130, 850, 200)]:
        ImageDraw.Draw(image).rectangle(box, outline="black", width=3)
    for left in (40, 310, 580):
        ImageDraw.Draw(image).rectangle((left, 200, left + 270, 270), outline="black", width=3)
    otsl = reader.read(tilted(np.asarray(image), degrees), Task.TABLE)
    assert otsl == (
        "<fcel>All figures in tons<lcel><lcel><nl>"
        "<fcel>Region<fcel>Sales in 2023<lcel><nl>"
        "<ucel><fcel>Spring<fcel>Autumn<nl>"
        "<fcel>North<fcel>120<fcel>140<nl>"
    )


def test_a_table_without_rules_is_arranged_by_its_gaps(reader: Reader) -> None:
    """Columns are where no row has text; an empty place is an empty cell."""
    rows = (("Item", "Amount", "Price"), ("Paper", "12", "4.50"), ("Staples", "", "1.20"))
    texts = [((40 + 300 * x, 30 + 60 * y), text) for y, row in enumerate(rows) for x, text in enumerate(row) if text]
    otsl = reader.read(np.asarray(drawn(*texts, size=(900, 230))), Task.TABLE)
    assert [tuple(cell.text for cell in row) for row in parse(otsl)] == list(rows)


def test_lines_without_columns_stay_lines(reader: Reader) -> None:
    """What is called a table and is none comes out as its text."""
    pixels = np.asarray(drawn(((30, 30), "No table at all"), ((30, 90), "but two lines"), size=(400, 150)))
    assert reader.read(pixels, Task.TABLE) == "No table at all\nbut two lines"


def test_spotting_tells_where_lines_are(reader: Reader) -> None:
    """Each line with four corners, in thousandths of the picture."""
    answer = reader.read(np.asarray(drawn(((100, 40), "Hello"), size=(400, 200))), Task.SPOTTING)
    assert answer.startswith("<|TEXT_START|>Hello<|TEXT_END|><|LOC_BEGIN|><|LOC_")
    x0, y0, x1, *_ = (int(number) for number in answer.replace("<|LOC_", "|>").split("|>") if number.isdigit())
    assert 200 <= x0 <= 260
    assert 150 <= y0 <= 260
    assert 400 <= x1 <= 500


@pytest.mark.parametrize("size", [(400, 200), (1, 1), (1, 300), (2000, 3)])
@pytest.mark.parametrize("task", [Task.OCR, Task.TABLE, Task.SPOTTING])
def test_a_picture_without_text_is_no_text(reader: Reader, size: tuple[int, int], task: Task) -> None:
    """Blank pictures, however small, give an empty answer and no error."""
    assert reader.read(np.full((size[1], size[0], 3), 255, np.uint8), task) == ""


def test_crops_read_at_once_do_not_mix(reader: Reader) -> None:
    """Threads that share the models get what they would get alone."""
    crops = [crop("en_a4.png", (130, 281, 366, 326)), crop("en_a4.png", (864, 281, 1194, 326))] * 4
    with ThreadPoolExecutor(4) as threads:
        texts = list(threads.map(reader.read, crops))
    assert texts == ["1. Background", "2. Results and Plans"] * 4


@needs_tesseract
def test_an_answer_nobody_wants_is_given_up() -> None:
    """What the checkpoint raises comes out, after as many steps as it let pass."""
    reader = Reader()
    reader.load()
    steps = iter([None, None])

    class Gone(Exception):
        pass

    def checkpoint() -> None:
        if next(steps, Gone) is Gone:
            raise Gone

    with pytest.raises(Gone):
        reader.read(crop("en_a4.png", ENGLISH), checkpoint=checkpoint)


def test_without_tesseract_the_rest_is_read_and_a_cyrillic_hint_is_refused() -> None:
    """Latin lines come out; the language that cannot be read is an error that says what to install."""
    recogniser = LineRecogniser(RapidOcr(), None)
    heading = [crop("en_a4.png", (130, 281, 366, 326))]
    assert not recogniser.reads_cyrillic
    assert recogniser.read(heading, "", lambda: None) == ["1. Background"]
    with pytest.raises(RegionFailed, match="tesseract-ocr-rus") as error:
        recogniser.read(heading, "ru", lambda: None)
    assert error.value.code == "language_unavailable"


def test_tesseract_without_russian_data_reads_no_cyrillic() -> None:
    """An installation with English alone is treated as none."""
    assert not LineRecogniser(RapidOcr(), Tesseract("tesseract", frozenset({"eng", "osd"}))).reads_cyrillic


def test_a_reader_says_that_it_is_not_loaded() -> None:
    """Reading before loading is a mistake, not an empty answer."""
    reader = Reader()
    assert not reader.ready
    with pytest.raises(RuntimeError, match="load"):
        reader.read(np.full((10, 10, 3), 255, np.uint8))
