"""A paragraph's rows are joined, a list's and a receipt's are not."""

from __future__ import annotations

from gateway.cpu_backend.flow import Row, flowed

LETTER = 10


def row(text: str, left: float = 0, right: float | None = None, pieces: int = 1) -> Row:
    return Row(text, left, left + LETTER * len(text) if right is None else right, 24, pieces)


def test_rows_that_are_full_flow_on() -> None:
    """Where the next word did not fit any more, the break is the paper's."""
    rows = [row("Municipal archives contain a"), row("surprising number of letters"), row("to read.")]
    assert flowed(rows) == "Municipal archives contain a surprising number of letters to read."


def test_a_break_before_which_there_was_room_is_kept() -> None:
    """An address has its lines, and so has the end of a paragraph."""
    rows = [row("GREEN CORNER MARKET OF GALWAY"), row("Galway"), row("48 Harbour Road, second floor")]
    assert flowed(rows).splitlines() == ["GREEN CORNER MARKET OF GALWAY Galway", "48 Harbour Road, second floor"]


def test_a_first_row_may_be_indented() -> None:
    """An indented paragraph is one."""
    rows = [row("The second phase will", 70), row("add full-text search, a pub"), row("lic catalogue and a queue.")]
    assert "\n" not in flowed(rows)


def test_rows_in_the_middle_are_not_one_paragraph() -> None:
    """Centred rows begin in different places."""
    rows = [row("48 Harbour Road, Galway, Ireland", 0), row("VAT IE 4827193K", 85), row("Tel 091-555-0182", 80)]
    assert flowed(rows).count("\n") == 2


def test_the_rows_of_a_receipt_are_kept() -> None:
    """Prices stand at the right margin, so every row is full; gaps in it tell that it does not flow."""
    rows = [
        row("Whole milk 2L 2.19", right=500),
        row("Brown bread sliced 1.85", right=500),
        row("SUBTOTAL 39.47", right=500, pieces=2),
        row("Thank you for shopping with us today, come again"),
        row("Returns within 28 days with this very receipt, OK"),
    ]
    assert flowed(rows).splitlines()[:3] == ["Whole milk 2L 2.19", "Brown bread sliced 1.85", "SUBTOTAL 39.47"]


def test_lines_to_sign_are_kept() -> None:
    """A row with a blank to fill in is a line of a form."""
    rows = [row("Chairman ____________ Whitfield"), row("Member ____________ Brandt, J.")]
    assert flowed(rows).count("\n") == 1


def test_ideographs_flow_without_blanks() -> None:
    """Chinese breaks after any letter, and a break is no blank."""
    assert (
        flowed([row("随着人工智能技术的", right=240), row("快速发展，越来越多", right=240)])
        == "随着人工智能技术的快速发展，越来越多"
    )


def test_nothing_read_is_nothing() -> None:
    """Rows without text leave no trace."""
    assert flowed([row(""), row("")]) == ""
    assert flowed([row(""), row("one"), row("")]) == "one"
