from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from layout_models import CANDIDATES, KEPT, build, right_edge

from gateway.document import Pixels
from gateway.errors import LayoutUnavailable
from gateway.layout.paddlex import PIPELINES, PaddleXLayout

RED = (255, 0, 0)
BLUE = (0, 0, 255)
BLACK = (0, 0, 0)


def page(width: int, height: int, colour: tuple[int, int, int]) -> Pixels:
    return np.full((height, width, 3), colour, np.uint8)


@pytest.fixture(scope="module", params=["V2", "V3"])
def kind(request: pytest.FixtureRequest) -> Literal["V2", "V3"]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def folder(kind: Literal["V2", "V3"], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(kind, tmp_path_factory.mktemp(kind))


@pytest.fixture(scope="module")
def detector(kind: str, folder: Path) -> PaddleXLayout:
    return PaddleXLayout(f"PP-DocLayout{kind}", str(folder))


def test_answers_in_pixels_of_the_page_and_in_the_models_order(detector: PaddleXLayout) -> None:
    """Boxes are whole pixels of the page as given, clipped to it, thresholded, without doubles, in reading order."""
    (regions,) = detector.detect([page(700, 1000, BLUE)])
    assert [(region.label, region.order) for region in regions] == list(zip(KEPT, [0, 1, 2, None, 3], strict=True))
    by_label = {candidate.label: candidate for candidate in reversed(CANDIDATES)}
    for region in regions:
        x0, y0, x1, y1 = by_label[region.label].box
        assert region.bbox == (round(x0 * 700), round(y0 * 1000), round(x1 * 700), min(round(y1 * 1000), 1000))
        assert region.score == pytest.approx(by_label[region.label].score)


def test_finds_what_paddlex_finds(kind: str, folder: Path, detector: PaddleXLayout) -> None:
    """Labels, boxes and scores are those of PaddleX's own `predict` with the parameters of its pipeline."""
    import paddlex
    from paddlex.inference import load_pipeline_config

    rules = load_pipeline_config(PIPELINES[detector.name])["SubModules"]["LayoutDetection"]
    model = paddlex.create_model(detector.name, str(folder), engine="onnxruntime", device="cpu")
    pixels = page(1654, 2339, (90, 180, 30))
    (theirs,) = model.predict(
        [np.ascontiguousarray(pixels[..., ::-1])],
        threshold=rules["threshold"],
        layout_nms=rules["layout_nms"],
        layout_unclip_ratio=rules["layout_unclip_ratio"],
        layout_merge_bboxes_mode=rules["layout_merge_bboxes_mode"],
    )
    (ours,) = detector.detect([pixels])
    assert [(box["label"], tuple(box["coordinate"]), box["score"]) for box in theirs["boxes"]] == [
        (region.label, region.bbox, region.score) for region in ours
    ]


def test_gives_the_model_red_as_red(detector: PaddleXLayout) -> None:
    """Pages are RGB here and BGR in PaddleX; the model sees the page's own colours."""
    red, blue = detector.detect([page(600, 600, RED), page(600, 600, BLUE)])
    assert {region.bbox[2] for region in red} == {right_edge(600, 255)}
    assert {region.bbox[2] for region in blue} == {right_edge(600, 0)}


def test_pages_of_all_sizes_in_one_batch_are_answered_as_alone(detector: PaddleXLayout) -> None:
    """Neither size nor content of one page shows in another's answer."""
    pages = [page(900, 500, RED), page(64, 64, BLUE), page(300, 300, BLACK), page(1654, 2339, (128, 9, 9))]
    assert detector.detect(pages) == [detector.detect([one])[0] for one in pages]


def test_a_page_may_be_without_regions(detector: PaddleXLayout) -> None:
    """Nothing found is an answer, not an error."""
    assert detector.detect([page(300, 200, BLACK)]) == [()]


def test_outlines_what_is_no_upright_rectangle(kind: str, detector: PaddleXLayout) -> None:
    """V3 gives the rhombus a polygon within the page and its box; rectangles, and all of V2, have none."""
    (regions,) = detector.detect([page(800, 1000, BLUE)])
    outlined = {region.label: region.polygon for region in regions if region.polygon is not None}
    assert set(outlined) == (set() if kind == "V2" else {"image"})
    for x, y in outlined.get("image", ()):
        assert abs(x - 240) / 160 + abs(y - 800) / 80 < 1.1


@pytest.mark.parametrize(
    ("name", "engine", "device", "says"),
    [
        ("PP-DocLayoutV9", "onnxruntime", "", "PP-DocLayoutV9: not one of"),
        ("PP-DocLayoutV3", "onnxruntime", "", "mismatch"),
        ("PP-DocLayoutV2", "no-such-engine", "", "no-such-engine"),
        ("PP-DocLayoutV2", "onnxruntime", "gpu:99", "gpu|GPU"),
    ],
)
def test_says_why_it_cannot_load(tmp_path: Path, name: str, engine: str, device: str, says: str) -> None:
    """A wrong name, folder, engine or device is one kind of error, with PaddleX's reason in it."""
    folder = build("V2", tmp_path)
    with pytest.raises(LayoutUnavailable, match=says):
        PaddleXLayout(name, str(folder), engine, device)


def test_says_which_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PaddleX the error names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "paddlex", None)
    with pytest.raises(LayoutUnavailable, match=r"\[paddlex\]"):
        PaddleXLayout("PP-DocLayoutV2")


LOAD = """
import sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise SystemExit(f"{event} {arguments}")

sys.addaudithook(refuse)
from gateway.layout.paddlex import PaddleXLayout
print(PaddleXLayout("PP-DocLayoutV2", sys.argv[1]).name)
"""


def test_loads_a_local_folder_without_asking_any_host(tmp_path: Path) -> None:
    """On a closed network nothing is looked up and nothing is waited for."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(build("V2", tmp_path))], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "PP-DocLayoutV2\n"), done.stderr
