from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.vlm.runaway import Runaway

WORDS = st.text(st.sampled_from("abcdefghij KLMNO,.абвг中文"), max_size=300)


def noticed(text: str, step: int = 4, patience: float = 1.0) -> Runaway | None:
    """The answer as it was when it was noticed; None if it was not."""
    answer = Runaway(patience)
    for start in range(0, len(text), step):
        if answer.feed(text[start : start + step]):
            return answer
    return None


@given(WORDS, st.text(st.characters(codec="utf-8"), min_size=1, max_size=200), st.integers(1, 60))
@example("", "and the amount of the year ", 40)
@example("Total: ", "." * 150 + " of which ", 40)
@example("", "ab" * 40 + "c", 1)
def test_a_unit_without_end_is_noticed_soon_and_trimmed_to_one_copy(before: str, unit: str, step: int) -> None:
    """Whatever the unit, and however the answer is cut into pieces: within six copies or 1,200 characters of signs."""
    answer = noticed(before + unit * (6000 // len(unit)), step)
    assert answer is not None
    assert len(answer.text) <= len(before) + max(1300, 7 * len(unit)) + step
    kept = answer.trimmed()
    assert (before + unit).startswith(kept) or kept.startswith(before.rstrip())
    assert len(kept) <= len(before) + 2 * len(unit)


@pytest.mark.parametrize("unit", ["<ecel>", "<fcel>0,00", "<fcel>N/A", "<lcel>", "<fcel>1<ecel>"])
def test_cells_without_a_row_end_are_noticed(unit: str) -> None:
    """No page has 80 equal columns."""
    answer = noticed("<fcel>Sum<nl>" + unit * 1000)
    assert answer is not None and answer.trimmed() == "<fcel>Sum<nl>" + unit
    assert answer.text.count("cel>") < 110


@pytest.mark.parametrize("row", ["<ecel><ecel><nl>", "<fcel>0<nl>", "<fcel>the amount<fcel>of the year<nl>"])
def test_a_hundred_equal_rows_are_noticed(row: str) -> None:
    """A page of small print has fewer lines."""
    answer = noticed(row * 400)
    assert answer is not None and answer.trimmed() == row
    assert answer.text.count("<nl>") < 120


@pytest.mark.parametrize(
    "unit",
    [
        "{}. The amount of the year\n",
        "{} foo ",
        "<fcel>{}<fcel>0,00<ecel><nl>",
        "{0}.2 Section {0} of the rules, 2024; ",
    ],
)
def test_a_unit_that_only_counts_is_noticed_and_trimmed_to_one_copy(unit: str) -> None:
    """Hundreds of numbered copies are the model's and not the page's; the numbers keep them from being equal."""
    answer = noticed("Contents of 3 parts: " + "".join(unit.format(number) for number in range(7, 1500)))
    assert answer is not None and answer.trimmed() == ("Contents of 3 parts: " + unit.format(7)).rstrip()
    assert len(answer.text) < 230 * len(unit) + 1500


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"{number}. A4 paper, 80 g, white\n" for number in range(1, 190)),
        "".join(f"{number}. Pos. {number * 7919 % 1000} of the order\n" for number in range(1, 900)),
        "".join(f"<fcel>{number}<fcel>{number * 31 % 97},00<nl>" for number in range(1, 500)),
        "".join(f"<fcel>{number // 3}<fcel>text {number % 3}<nl>" for number in range(1, 500)),
        " ".join(str(number) for number in range(1, 1500)),
        "".join(f"{number} {number + 1} {number + 2} {number + 3}\n" for number in range(1, 1500, 4)),
        "".join(f"<fcel>{number}<fcel>{number + 1}<fcel>{number + 2}<nl>" for number in range(1, 1200, 3)),
    ],
    ids=lambda text: text[:24],
)
def test_numbered_lists_and_tables_are_left_alone(text: str) -> None:
    """Their texts or their other numbers differ, or they are not longer than a page."""
    assert noticed(text, 40) is None


@pytest.mark.parametrize(
    "text",
    [
        ("<fcel>0,00" * 10 + "<nl>") * 30,
        ("<ecel>" * 10 + "<nl>") * 30,
        ("<ecel>" * 25 + "<nl>") * 80,
        ("<fcel>Position<fcel>1<fcel>0,00<nl>") * 90,
        ("<fcel>" + "." * 40 + "<ecel>" * 6 + "<nl>") * 60,
        "." * 200,
        "_" * 400,
        "".join(f"Chapter {number} {'.' * 90} {number * 7}\n" for number in range(60)),
        ("." * 90 + "\n") * 12,
        "0,00\n" * 100,
        "\n".join(["Да ☐ Нет ☐"] * 40),
        "la la la la\n" * 40,
        " ".join(f"{number}. The same sentence stands in every point of the list." for number in range(80)),
        "A paragraph of some length that stands on the page four times over. " * 4 + "b" * 300,
    ],
    ids=lambda text: text[:24],
)
@pytest.mark.parametrize("step", [1, 7, 4000])
def test_what_pages_really_repeat_is_left_alone(text: str, step: int) -> None:
    """Tables of equal cells, columns of zeros, leaders, lines to fill in, forms, refrains, lists."""
    assert noticed(text, step) is None


@given(st.lists(st.sampled_from(["<fcel>0,00", "<ecel>", "<fcel>-", "<fcel>да"]), min_size=1, max_size=30), st.data())
def test_no_table_of_equal_rows_that_fits_a_page_is_noticed(row: list[str], data: st.DataObject) -> None:
    """Up to 99 rows of up to 30 cells."""
    rows = data.draw(st.integers(1, 99))
    assert noticed(("".join(row) + "<nl>") * rows, 40) is None


@given(
    st.lists(st.text(st.sampled_from("abcdefghij "), min_size=20, max_size=60), min_size=1, max_size=200, unique=True)
)
def test_text_that_goes_on_is_left_alone(lines: list[str]) -> None:
    """Different lines are no repetition, however many."""
    assert noticed("\n".join(lines)) is None


def test_patience_lets_words_repeat_longer() -> None:
    """A second reading may be believed further."""
    text = "and the amount of the year " * 30
    assert noticed(text) is not None
    assert noticed(text, patience=2.0) is None
    assert noticed(text * 2, patience=2.0) is not None


def test_an_answer_that_does_not_run_away_is_not_trimmed() -> None:
    """All of it is the text."""
    answer = Runaway()
    assert not answer.feed("Yes. " * 20)
    assert answer.trimmed() == "Yes. " * 20
