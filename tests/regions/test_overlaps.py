"""Which regions stay."""

from __future__ import annotations

import pytest

from gateway.document import BBox, Region
from gateway.regions import without_overlaps


def region(label: str, bbox: BBox) -> Region:
    return Region(label, bbox, 0.9)


def kept(*regions: Region) -> list[str]:
    return [region.label for region in without_overlaps(regions)]


def test_regions_apart_stay_in_their_order() -> None:
    """Regions that share nothing stay, in the order in which they came."""
    assert kept(region("text", (0, 200, 100, 300)), region("doc_title", (0, 0, 100, 100))) == ["text", "doc_title"]


def test_a_reference_list_gives_way_to_its_entries() -> None:
    """`reference` goes, whatever it overlaps."""
    assert kept(region("reference", (0, 0, 9, 9)), region("reference_content", (0, 0, 9, 6))) == ["reference_content"]


@pytest.mark.parametrize("bbox", [(0, 0, 5, 100), (0, 0, 100, 5)])
def test_thin_regions_go(bbox: BBox) -> None:
    """A region of less than 6 pixels either way holds no text."""
    assert kept(region("text", bbox)) == []
    assert kept(region("text", (0, 0, 6, 6))) == ["text"]


def test_the_larger_of_two_stays() -> None:
    """Over 0.7 of the smaller one shared: the smaller goes; at 0.7 both stay."""
    large = region("doc_title", (0, 0, 100, 100))
    assert kept(large, region("text", (0, 0, 10, 10))) == ["doc_title"]
    assert kept(region("text", (0, 0, 10, 10)), large) == ["doc_title"]
    assert kept(large, region("text", (0, 93, 10, 103))) == ["doc_title", "text"]


def test_pictures_stay_beside_text_and_in_tables() -> None:
    """A picture over text and a picture in a table stay; text in a table goes."""
    inner, outer = (10, 10, 50, 50), (0, 0, 100, 100)
    assert kept(region("image", outer), region("text", inner)) == ["image", "text"]
    assert kept(region("table", outer), region("image", inner)) == ["table", "image"]
    assert kept(region("table", outer), region("text", inner)) == ["table"]
    assert kept(region("image", outer), region("image", inner)) == ["image"]


def test_formulas_in_text_are_part_of_it() -> None:
    """An inline formula goes where over half of it is shared, even where it is the larger one."""
    assert kept(region("text", (0, 0, 100, 10)), region("inline_formula", (10, 4, 20, 14))) == ["text"]
    assert kept(region("inline_formula", (0, 0, 100, 10)), region("text", (0, 0, 10, 10))) == ["text"]
    assert kept(region("text", (0, 0, 100, 10)), region("inline_formula", (10, 5, 20, 15))) == [
        "text",
        "inline_formula",
    ]


def test_outlines_that_keep_apart_both_stay() -> None:
    """Two slanted regions whose boxes overlap and whose outlines do not."""
    upper = Region("text", (0, 0, 100, 100), 0.9, polygon=((0, 0), (100, 0), (0, 100)))
    lower = Region("text", (0, 0, 100, 100), 0.9, polygon=((100, 0), (100, 100), (0, 100)))
    assert without_overlaps([upper, lower]) == (upper, lower)
    assert without_overlaps([upper, upper]) == (upper,)


def test_an_outline_without_area_shares_nothing() -> None:
    """A degenerate outline is no reason to fail."""
    line = Region("text", (0, 0, 100, 100), 0.9, polygon=((0, 0), (100, 100), (0, 0), (100, 100)))
    assert without_overlaps([line, line]) == (line, line)
