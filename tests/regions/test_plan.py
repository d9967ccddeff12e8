"""What is read of a page, and as which crop."""

from __future__ import annotations

import pytest

from gateway.document import BBox, Planned, Region, Task
from gateway.regions import Rules, plan, plan_whole_page


def region(label: str, bbox: BBox) -> Region:
    return Region(label, bbox, 0.9)


def tasks(planned: tuple[Planned, ...]) -> list[Task | None]:
    return [item.reading.task if item.reading else None for item in planned]


@pytest.mark.parametrize(
    ("label", "task"),
    [
        ("text", Task.OCR),
        ("header", Task.OCR),
        ("formula_number", Task.OCR),
        ("display_formula", Task.FORMULA),
        ("inline_formula", Task.FORMULA),
        ("table", Task.TABLE),
        ("image", None),
        ("header_image", None),
        ("footer_image", None),
        ("chart", None),
        ("seal", None),
    ],
)
def test_the_label_chooses_the_task(label: str, task: Task | None) -> None:
    """Every label has its task; pictures have none, and belong to the document themselves."""
    (item,) = plan([region(label, (0, 0, 50, 50))], Rules())
    assert tasks((item,)) == [task]
    assert item.picture == (task is None)


def test_charts_seals_and_pictures_are_read_on_request() -> None:
    """A chart that is read is no picture any more; a seal and an image stay one."""
    found = [region(label, (0, y, 50, y + 50)) for y, label in ((0, "chart"), (50, "seal"), (100, "image"))]
    planned = plan(found, Rules(charts=True, seals=True, pictures=True))
    assert tasks(planned) == [Task.CHART, Task.SEAL, Task.OCR]
    assert [item.picture for item in planned] == [False, True, True]


def test_a_paragraph_over_two_columns_is_read_as_one() -> None:
    """The first block carries the text of both; the picture between them comes after."""
    left, between, right = (0, 0, 100, 100), (0, 110, 100, 200), (110, 0, 210, 100)
    planned = plan([region("text", left), region("image", between), region("text", right)], Rules())
    assert [item.region.bbox for item in planned] == [left, right, between]
    assert [item.group for item in planned] == [0, 0, 2]
    assert planned[0].reading is not None
    assert [part.bbox for part in planned[0].reading.parts] == [left, right]
    assert planned[1].reading is None and not planned[1].picture


def test_a_paragraph_around_a_picture_is_read_as_one() -> None:
    """Text whose right edge a picture pushed in goes on below; without the picture it is two paragraphs."""
    upper, lower, beside = (0, 0, 100, 100), (0, 104, 200, 204), (110, 0, 200, 100)
    planned = plan([region("text", upper), region("image", beside), region("text", lower)], Rules())
    assert [item.group for item in planned] == [0, 0, 2]
    assert planned[0].reading is not None and planned[0].reading.aligns == ("left",)
    assert [item.group for item in plan([region("text", upper), region("text", lower)], Rules())] == [0, 1]


def test_paragraphs_of_one_width_are_two() -> None:
    """Where no edge is pushed in, the text ends above the next paragraph, whatever lies near."""
    upper, lower, near = (0, 0, 100, 100), (0, 104, 100, 204), (50, 90, 150, 110)
    planned = plan([region("text", upper), region("image", near), region("text", lower)], Rules())
    assert [item.group for item in planned] == [0, 1, 2]


def test_a_tall_strip_is_read_in_its_parts() -> None:
    """Two columns that joined would be three times as tall as wide are read apart."""
    planned = plan([region("text", (0, 0, 100, 150)), region("text", (110, 0, 210, 150))], Rules())
    assert tasks(planned) == [Task.OCR, Task.OCR]


def test_merging_can_be_left_out() -> None:
    """With `merge` off every region is read by itself, in the given order."""
    found = [region("text", (0, 0, 100, 100)), region("text", (110, 0, 210, 100))]
    assert tasks(plan(found, Rules(merge=False))) == [Task.OCR, Task.OCR]


def test_pictures_inside_a_table_are_hidden_in_it() -> None:
    """A legible picture within the table gets a token; one beside it, or too small for a token, does not."""
    inside, small, beside = (10, 10, 60, 60), (70, 10, 90, 30), (10, 210, 60, 260)
    found = [region("table", (0, 0, 200, 200)), *(region("image", bbox) for bbox in (inside, small, beside))]
    table, *_ = plan(found, Rules())
    assert table.reading is not None
    (figure,) = table.reading.figures
    assert (figure.planned, figure.bbox) == (1, inside)
    assert figure.token in ("[F2]", "[F3]", "[F4]")


def test_a_whole_page_is_one_region() -> None:
    """Without layout the page is one block, labelled and read by the task, however thin it is."""
    (item,) = plan_whole_page(500, 4, Task.SEAL)
    assert (item.region.label, item.region.bbox, item.picture) == ("seal", (0, 0, 500, 4), False)
    assert tasks((item,)) == [Task.SEAL]


def test_an_empty_page_has_nothing_to_read() -> None:
    """No regions, no plan."""
    assert plan([], Rules()) == ()
