"""Pages turned upright and flattened by PaddleX's models, tiny ones here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import page_models
import pytest

from gateway.document import Page, Pixels, Preparation
from gateway.errors import LayoutFailed, LayoutUnavailable
from gateway.layout.preparation import PaddleXSteps, Preparer, Step

pytest.importorskip("paddlex")
pytest.importorskip("onnxruntime")

BOTH: frozenset[Step] = frozenset({"orientation", "unwarping"})


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> PaddleXSteps:
    folder = tmp_path_factory.mktemp("page")
    folders: dict[Step, str] = {
        "orientation": str(page_models.orientation(folder / "orientation")),
        "unwarping": str(page_models.unwarping(folder / "unwarping")),
    }
    return PaddleXSteps(BOTH, folders)


def upright() -> Pixels:
    """Red at its top, blue in its lower left corner."""
    page = np.full((300, 240, 3), 200, np.uint8)
    page[:60] = (255, 0, 0)
    page[240:, :80] = (0, 0, 255)
    return page


@pytest.mark.parametrize("turns", range(4))
def test_a_page_is_turned_upright(steps: PaddleXSteps, turns: int) -> None:
    """However it lies; the angle is by how much it was turned back, and no pixel is lost."""
    page, angle = steps(np.ascontiguousarray(np.rot90(upright(), -turns)), frozenset({"orientation"}))
    assert angle == 90 * turns
    assert np.array_equal(page, upright())


def test_a_page_is_flattened(steps: PaddleXSteps) -> None:
    """What the model answers is the page, red still red; nobody looked which way is up."""
    page, angle = steps(upright(), frozenset({"unwarping"}))
    assert angle is None
    assert page.shape == (300, 240 - page_models.CUT, 3)
    assert abs(int(page[10, 10, 1]) - int(255 * page_models.GREENER)) <= 1
    assert tuple(page[10, 10, ::2]) == (255, 0)
    assert tuple(page[290, 10, ::2]) == (0, 255)


async def test_pages_know_what_was_done_to_them(steps: PaddleXSteps) -> None:
    """First turned, then flattened; the size it had is kept."""
    preparer = Preparer(BOTH, lambda: steps)
    page, done = await preparer.prepare(Page(3, np.ascontiguousarray(np.rot90(upright()))), BOTH)
    assert (page.number, page.width, page.height) == (3, 240 - page_models.CUT, 300)
    assert done == Preparation(angle=270, unwarped=True, width=300, height=240)


async def test_models_that_are_not_there_are_told_at_the_start(tmp_path: Path) -> None:
    """`load` fails in words; with no steps there is nothing to load."""
    folders: dict[Step, str] = {"unwarping": str(tmp_path)}
    with pytest.raises(LayoutUnavailable, match="UVDoc could not be loaded"):
        await Preparer(frozenset({"unwarping"}), lambda: PaddleXSteps(frozenset({"unwarping"}), folders)).load()
    await Preparer().load()


async def test_a_page_that_a_model_fails_on_fails_alone(steps: PaddleXSteps) -> None:
    """A page without pixels is its own failure; the next one is served."""
    preparer = Preparer(BOTH, lambda: steps)
    with pytest.raises(LayoutFailed) as caught:
        await preparer.prepare(Page(1, np.empty((0, 0, 3), np.uint8)), BOTH)
    assert caught.value.code == "preparation_failed"
    await preparer.prepare(Page(1, upright()), BOTH)
