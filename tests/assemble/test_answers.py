"""From an answer to the content of a block."""

from __future__ import annotations

import pytest

from gateway.assemble.answers import Content, content
from gateway.document import Recognition


def text_of(label: str, answer: str) -> str:
    return content(label, Recognition(answer), 1000, 500).text


@pytest.mark.parametrize(
    ("label", "answer", "text"),
    [
        ("text", r"let \(x\) be", "let  $ x $ be"),
        ("display_formula", r"\[ E \]", " $$  E  $$ "),
        ("text", r"\[\[y\]\]", " $$ y $$ "),
        ("text", r"$5 and \(x\)", "5 and  $ x $"),
        ("text", "$5 and $6", "$5 and $6"),
        ("text", r"\( alone", r"\( alone"),
        ("formula_number", r"\((1)\)", "  (1) "),
    ],
)
def test_formulas_stand_between_dollars(label: str, answer: str, text: str) -> None:
    """Paired delimiters become dollars; a formula's number keeps none."""
    assert text_of(label, answer) == text


def test_tables_become_html() -> None:
    """OTSL, with the formulas in it."""
    assert text_of("table", r"<fcel>\(x\)<nl>") == "<table><tr><td>$ x $</td></tr></table>"


def test_a_trimmed_answer_says_so() -> None:
    """Text that was cut from a runaway answer leaves a note; a table may repeat its rows."""
    assert content("text", Recognition("ab" * 40), 9, 9).notes == ("repetition_trimmed",)
    assert content("text", Recognition("ab" * 40 + "c"), 9, 9).notes == ()
    assert content("table", Recognition("<fcel>a<nl>" * 40), 9, 9).notes == ()


def test_spotting_gives_lines_and_corners() -> None:
    """Thousandths of the page become pixels; both forms of tokens are understood."""
    corners = "".join(f"<|LOC_{n}|>" for n in (100, 200, 300, 200, 300, 400, 100, 400))
    expected = ((100.0, 100.0), (300.0, 100.0), (300.0, 200.0), (100.0, 200.0))
    marked = f"<|TEXT_START|>Hello<|TEXT_END|><|LOC_BEGIN|>{corners}<|LOC_END|>"
    for answer in (f"Hello{corners}", marked):
        found = content("spotting", Recognition(answer), 1000, 500)
        assert found.text == "Hello"
        assert [(spot.text, spot.points) for spot in found.spots] == [("Hello", expected)]


def test_spotting_without_places_keeps_its_text() -> None:
    """A model that answers no locations has still read the page."""
    found = content("spotting", Recognition("Hello\nWorld<|LOC_7|></s>"), 10, 10)
    assert (found.text, found.spots) == ("Hello\nWorld", ())


def test_what_was_blank_is_empty_and_says_so() -> None:
    """A crop that was not sent has no text, as a table too, and a note tells it from one that was read."""
    for label in ("text", "table", "spotting"):
        assert content(label, Recognition("", notes=("blank",)), 10, 10) == Content("", ("blank",))
