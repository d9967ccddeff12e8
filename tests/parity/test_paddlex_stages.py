"""Single stages against PaddleX's own functions, over generated cases. Differences are named in docs/parity.md."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.assemble import otsl
from gateway.assemble.html_table import rows
from gateway.assemble.repetition import without_repetition
from gateway.assemble.spotting import spots
from gateway.document import Reading, Region, Task
from gateway.regions import crop, without_overlaps
from gateway.regions.crops import picture
from gateway.regions.paragraphs import paragraphs

uilts = pytest.importorskip("paddlex.inference.pipelines.paddleocr_vl.uilts")

same = settings(max_examples=1000, deadline=None, derandomize=True, database=None)

LABELS = ["text", "text", "text", "image", "table", "seal", "chart", "inline_formula", "reference", "figure_title"]
NOISE = np.random.default_rng(0).integers(0, 255, (2000, 400, 3), np.uint8)
TOKENS = ["<fcel>", "<ecel>", "<lcel>", "<ucel>", "<xcel>", "<nl>"]


@st.composite
def boxes(draw: st.DrawFn, side: int = 60, smallest: int = 1) -> tuple[int, int, int, int]:
    x0, y0 = draw(st.integers(0, side)), draw(st.integers(0, side))
    return x0, y0, x0 + draw(st.integers(smallest, side)), y0 + draw(st.integers(smallest, side))


@same
@given(st.lists(st.builds(Region, label=st.sampled_from(LABELS), bbox=boxes(), score=st.just(0.5)), max_size=8))
def test_overlaps(found: list[Region]) -> None:
    """The same regions stay as in `filter_overlap_boxes`."""
    theirs = uilts.filter_overlap_boxes({"boxes": [{"label": r.label, "coordinate": r.bbox} for r in found]}, "rect")
    ours = [(region.label, region.bbox) for region in without_overlaps(found)]
    assert ours == [(box["label"], box["coordinate"]) for box in theirs["boxes"]]


@st.composite
def outlined(draw: st.DrawFn) -> Region:
    """A region with a slanted outline."""
    x0, y0, x1, y1 = box = draw(boxes(60, 10))
    slant, lean = draw(st.integers(-3, 3)), draw(st.integers(-3, 3))
    polygon = ((x0 + slant, y0), (x1, y0 + lean), (x1 - slant, y1), (x0, y1 - lean))
    return Region(draw(st.sampled_from(LABELS)), box, 0.5, polygon=polygon)


@same
@given(st.lists(outlined(), max_size=8))
def test_overlaps_of_outlines(found: list[Region]) -> None:
    """Boxes that overlap while their outlines do not both stay, as in `filter_overlap_boxes`."""
    boxed = [{"label": r.label, "coordinate": r.bbox, "polygon_points": r.polygon} for r in found]
    theirs = uilts.filter_overlap_boxes({"boxes": boxed}, "auto")
    ours = [(region.label, region.polygon) for region in without_overlaps(found)]
    assert ours == [(box["label"], box["polygon_points"]) for box in theirs["boxes"]]


@st.composite
def columns(draw: st.DrawFn) -> list[Region]:
    """Regions in up to three columns, their edges a little off, now and then a picture among them."""
    found = []
    for left in (0, 110, 220)[: draw(st.integers(1, 3))]:
        y = draw(st.integers(0, 20))
        for _ in range(draw(st.integers(1, 4))):
            x0 = left + draw(st.sampled_from([0, 3, 5, 6, 40]))
            x1 = left + 100 - draw(st.sampled_from([0, 2, 5, 6, 40]))
            height = draw(st.sampled_from([10, 30, 100, 300]))
            label = draw(st.sampled_from(["text", "text", "text", "text", "image", "table", "doc_title"]))
            found.append(Region(label, (x0, y, x1, y + height), 0.5))
            y += height + draw(st.sampled_from([-8, 0, 4, 20, 60]))
    return found


@same
@given(columns())
def test_broken_paragraphs(found: list[Region]) -> None:
    """The same order and the same joined crops, pixel for pixel, as in `merge_blocks`."""
    crops = [NOISE[y0:y1, x0:x1] for x0, y0, x1, y1 in (region.bbox for region in found)]
    blocks = [{"label": r.label, "box": r.bbox, "img": img} for r, img in zip(found, crops, strict=True)]
    theirs = uilts.merge_blocks(blocks, ["image", "table"])
    ours = [(group, index) for group in paragraphs(found, {"image", "table"}) for index in group.members]
    assert [found[index].bbox for _, index in ours] == [block["box"] for block in theirs]
    for (group, index), block in zip(ours, theirs, strict=True):
        if index == group.members[0]:
            reading = Reading(Task.OCR, tuple(found[i] for i in group.members), group.aligns)
            assert np.array_equal(crop(NOISE, reading), block["img"])
        else:
            assert block["img"] is None


@same
@given(boxes(300, 40), st.integers(0, 40))
def test_outlined_crops(box: tuple[int, int, int, int], slant: int) -> None:
    """What lies outside a slanted outline is white, as in `CropByBoxes`, but for pixels on the line itself."""
    from paddlex.inference.pipelines.components import CropByBoxes

    x0, y0, x1, y1 = box
    polygon = ((x0 + slant, y0), (x1 - 1, y0), (x1 - 1, y1 - 1), (x0, y1 - 1))
    page = np.zeros((700, 700, 3), np.uint8)
    found = {"cls_id": 0, "label": "text", "coordinate": list(box), "polygon_points": np.array(polygon)}
    theirs = CropByBoxes()(page, [found], "auto")[0]["img"]
    ours = picture(page, Region("text", box, 0.5, polygon=polygon))
    assert ours.shape == theirs.shape
    assert (ours != theirs).any(axis=2).sum() <= y1 - y0


@same
@given(st.integers(0, 2**32 - 1), st.integers(0, 4), st.integers(150, 255))
def test_formula_margins(seed: int, specks: int, paper: int) -> None:
    """A formula's crop loses the same margin as in `crop_margin`."""
    draw = np.random.default_rng(seed)
    page = np.full((40, 60, 3), paper, np.uint8)
    for y, x in zip(draw.integers(0, 40, specks), draw.integers(0, 60, specks), strict=True):
        page[y : y + draw.integers(1, 9), x : x + draw.integers(1, 9)] = draw.integers(0, 255, 3)
    theirs = uilts.crop_margin(page[..., ::-1].copy())[..., ::-1]
    ours = crop(page, Reading(Task.FORMULA, (Region("formula", (0, 0, 60, 40), 0.5),)))
    assert np.array_equal(ours, theirs if min(theirs.shape[:2]) > 2 else page)


@st.composite
def spanned_tables(draw: st.DrawFn) -> str:
    """OTSL of a table cut into rectangles, every place filled."""
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    tokens = [["" for _ in range(width)] for _ in range(height)]
    for y in range(height):
        for x in range(width):
            if tokens[y][x]:
                continue
            free = next((i for i in range(x, width) if tokens[y][i]), width) - x
            w, h = draw(st.integers(1, free)), draw(st.integers(1, height - y))
            text = draw(st.sampled_from(["a", "b <i>", "c & d", '"e"', "1,5", "f\ng"]))
            for dy in range(h):
                for dx in range(w):
                    tokens[y + dy][x + dx] = (
                        "<xcel>" if dy and dx else "<ucel>" if dy else "<lcel>" if dx else "<fcel>" + text
                    )
    return "".join("".join(row) + "<nl>" for row in tokens)


@same
@given(spanned_tables())
def test_whole_tables(answer: str) -> None:
    """Tables with spans of every form become the same HTML as in `convert_otsl_to_html`."""
    assert otsl.to_html(otsl.parse(answer)) == uilts.convert_otsl_to_html(answer)


@same
@given(st.lists(st.sampled_from([*TOKENS, "<fcel>a", "<fcel>b", "<fcel>c", "<nl>"]), min_size=1, max_size=16))
def test_broken_tables(pieces: list[str]) -> None:
    """Tokens in any order: a whole table, with all text; where PaddleX's is one too, the same."""
    answer = "".join(pieces)
    ours = otsl.to_html(otsl.parse(answer))
    assert is_whole(ours)
    assert [cell.text for row in rows(ours) for cell in row if cell.text] == [p[-1] for p in pieces if p[-1] in "abc"]
    if "<fcel>" not in pieces:  # an empty one takes the next token for its text there, or ends in an IndexError
        theirs = uilts.convert_otsl_to_html(answer)
        assert ours == theirs or not theirs or not is_whole(theirs)


def is_whole(table: str) -> bool:
    """Every place of the rectangle belongs to one cell."""
    places: list[tuple[int, int]] = []
    height = len(found := rows(table))
    for y, row in enumerate(found):
        x = 0
        for cell in row:
            while (y, x) in places:
                x += 1
            places += [(y + dy, x + dx) for dy in range(cell.rows) for dx in range(cell.columns)]
    width = max((x for _, x in places), default=-1) + 1
    return len(places) == len(set(places)) == width * height and all(y < height for y, _ in places)


units = st.text("ab .\n", min_size=1, max_size=12)


@same
@given(
    st.text("abc ", max_size=20), units, st.integers(1, 60), st.text("xb\n", max_size=3), st.sampled_from([50, 5000])
)
def test_repetition(before: str, unit: str, copies: int, after: str, shortest: int) -> None:
    """Texts are cut where `truncate_repetitive_content` cuts them; one that it leaves nothing of keeps one copy."""
    text = before + unit * copies + after
    theirs = uilts.truncate_repetitive_content(text, min_count=shortest)
    ours = without_repetition(text, shortest)
    assert ours == theirs or (not theirs and ours and not text.strip().replace(ours, ""))


locations = st.lists(st.integers(0, 1000).map("<|LOC_{}|>".format), max_size=9).map("".join)
bare = st.lists(st.tuples(st.text("ab", max_size=3), locations).map("".join), max_size=4).map("".join)
marked = st.lists(
    st.tuples(st.text("ab", max_size=3), locations).map(
        lambda line: f"<|TEXT_START|>{line[0]}<|TEXT_END|><|LOC_BEGIN|>{line[1]}<|LOC_END|>"
    ),
    max_size=4,
).map("".join)


@same
@given(st.one_of(bare, marked), st.integers(1, 3000), st.integers(1, 3000))
def test_spotting(answer: str, width: int, height: int) -> None:
    """The same lines at the same places as in `post_process_for_spotting`."""
    _, theirs = uilts.post_process_for_spotting(answer, width, height)
    ours = spots(answer, width, height)
    assert [spot.text for spot in ours] == theirs["rec_texts"]
    assert [list(spot.points) for spot in ours] == theirs["rec_polys"]
