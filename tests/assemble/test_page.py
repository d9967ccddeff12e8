"""A page from its plan and its answers."""

from __future__ import annotations

from gateway.assemble import Assembled, FlatResult, Style, assemble, flat_results
from gateway.document import BBox, Failure, Figure, Planned, Reading, Recognition, Region, Spot, Task


def planned(
    label: str, bbox: BBox, task: Task | None = None, group: int = 0, figures: tuple[Figure, ...] = ()
) -> Planned:
    region = Region(label, bbox, 0.9, None if label == "header" else 7)
    reading = Reading(task, (region,), figures=figures) if task else None
    return Planned(region, group, reading, picture=label == "image")


FIGURE = Figure("[F2]", 1, (10, 10, 50, 50))
TABLE_WITH_PICTURE = (
    planned("table", (0, 0, 100, 100), Task.TABLE, 0, (FIGURE,)),
    planned("image", FIGURE.bbox, None, 1),
)
PATH = "imgs/img_in_image_box_10_10_50_50.jpg"


def page(plan: tuple[Planned, ...], *answers: str | Failure | None) -> Assembled:
    by_index = {i: Recognition(a) if isinstance(a, str) else a for i, a in enumerate(answers) if a is not None}
    return assemble(plan, by_index, 200, Style())


def test_blocks_are_numbered_without_gaps() -> None:
    """Ids count all blocks; orders only those of the reading order."""
    plan = (
        planned("header", (0, 0, 100, 10), Task.OCR, 0),
        planned("doc_title", (0, 10, 100, 20), Task.OCR, 1),
        planned("text", (0, 20, 100, 30), Task.OCR, 2),
    )
    blocks = page(plan, "h", "t", "x").blocks
    assert [(b.id, b.order, b.content, b.group) for b in blocks] == [
        (0, None, "h", None),
        (1, 0, "t", None),
        (2, 1, "x", None),
    ]


def test_a_failure_is_its_regions_own() -> None:
    """The block keeps its place with an error, and the page lives."""
    plan = planned("text", (0, 0, 100, 10), Task.OCR, 0), planned("text", (0, 10, 100, 20), Task.OCR, 1)
    done = page(plan, Failure("recognition_failed", "why"), "read")
    assert [(b.content, b.error.code if b.error else None) for b in done.blocks] == [
        ("", "recognition_failed"),
        ("read", None),
    ]
    assert "region 0 (text) could not be read" in done.markdown and "read" in done.markdown


def test_an_answer_that_ran_away_keeps_what_came_before() -> None:
    """It is trimmed already; the error and a note say so."""
    plan = (planned("text", (0, 0, 100, 10), Task.OCR, 0),)
    (block,) = assemble(plan, {0: Recognition("half", runaway=True)}, 200, Style()).blocks
    assert (block.content, block.error.code if block.error else None) == ("half", "repetition")
    assert block.notes == ("repetition_trimmed",)


def test_a_cut_answer_keeps_its_text() -> None:
    """What was read before the token limit stays, beside an error."""
    plan = (planned("text", (0, 0, 100, 10), Task.OCR, 0),)
    (block,) = assemble(plan, {0: Recognition("half", cut=True)}, 200, Style()).blocks
    assert (block.content, block.error.code if block.error else None) == ("half", "truncated")


def test_a_paragraph_in_parts_has_its_text_in_the_first() -> None:
    """The others stay, empty, and name the first."""
    plan = planned("text", (0, 0, 100, 10), Task.OCR, 0), planned("text", (110, 0, 200, 10), None, 0)
    assert [(b.content, b.group) for b in page(plan, "both").blocks] == [("both", 0), ("", 0)]


def test_a_picture_goes_back_into_its_table() -> None:
    """Where the token came back there is an `<img>`, and the picture is no block; its crop is still known."""
    done = page(TABLE_WITH_PICTURE, "<fcel>[F2]<fcel>[F7]<nl>")
    assert [b.label for b in done.blocks] == ["table"]
    assert done.blocks[0].content == f'<table><tr><td><img src="{PATH}" alt="Image" /></td><td>[F7]</td></tr></table>'
    assert done.pictures == {PATH: TABLE_WITH_PICTURE[1].region}


def test_a_picture_whose_token_is_lost_is_not() -> None:
    """It stays a block of its own, after the table."""
    done = page(TABLE_WITH_PICTURE, "<fcel>x<nl>")
    assert [(b.label, b.image) for b in done.blocks] == [("table", None), ("image", PATH)]
    assert PATH in done.markdown
    assert [b.label for b in page(TABLE_WITH_PICTURE, Failure("x", "y")).blocks] == ["table", "image"]


def test_a_picture_that_failed_is_shown_and_says_so() -> None:
    """The picture goes back into its table; the block with the error stays."""
    image = Region("seal", FIGURE.bbox, 0.9)
    plan = (TABLE_WITH_PICTURE[0], Planned(image, 1, Reading(Task.SEAL, (image,)), picture=True))
    done = page(plan, "<fcel>[F2]<nl>", Failure("recognition_failed", "why"))
    assert [(b.label, b.error is None) for b in done.blocks] == [("table", True), ("seal", False)]
    assert "<img" in done.blocks[0].content


def test_groups_name_blocks_by_their_ids() -> None:
    """A picture that went into its table leaves no gap in the ids, and groups follow."""
    parts = planned("text", (0, 110, 90, 120), Task.OCR, 2), planned("text", (110, 110, 200, 120), None, 2)
    done = page((*TABLE_WITH_PICTURE, *parts), "<fcel>[F2]<nl>", None, "both")
    assert [(b.id, b.label, b.group) for b in done.blocks] == [(0, "table", None), (1, "text", 1), (2, "text", 1)]


def test_the_flat_view_is_plain_text() -> None:
    """Tables lose their HTML, formulas their dollars; blocks without content are left out."""
    plan = (
        planned("text", (0, 0, 100, 10), Task.OCR, 0),
        planned("table", (0, 10, 100, 20), Task.TABLE, 1),
        planned("display_formula", (0, 20, 100, 30), Task.FORMULA, 2),
        planned("text", (0, 30, 100, 40), Task.OCR, 3),
    )
    done = page(plan, "a < b", "<ecel><fcel>b & c<nl><fcel>d<lcel><nl>", r"\[ x \]", "")
    assert flat_results(done.blocks, 3) == (
        FlatResult("a < b", (0, 0, 100, 10), 0.9, 3),
        FlatResult("\tb & c\nd", (0, 10, 100, 20), 0.9, 3),
        FlatResult("x", (0, 20, 100, 30), 0.9, 3),
    )


def test_the_flat_view_of_spotting_has_its_lines() -> None:
    """Each line has the box around its corners."""
    line = "".join(f"<|LOC_{n}|>" for n in (100, 200, 300, 200, 300, 400, 100, 400))
    done = page((planned("spotting", (0, 0, 1000, 500), Task.SPOTTING, 0),), f"Hello{line}")
    assert flat_results(done.blocks, 1) == (FlatResult("Hello", (100, 100, 300, 200), 0.9, 1),)
    assert isinstance(done.blocks[0].spots[0], Spot)
