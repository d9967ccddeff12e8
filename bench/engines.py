"""Do PaddleX's engines agree, and do pages sent in parallel get the answers they get alone?

    PYTHONPATH=. .venv/bin/python bench/engines.py V2=FOLDER,ONNX_FOLDER V3=FOLDER,ONNX_FOLDER

The folders are a layout model for `paddle_static` and the same one for `onnxruntime`. `tests/layout/test_engines.py`
runs this with tiny ones.
"""

from __future__ import annotations

import sys
from functools import partial

import anyio
import numpy as np

from gateway.document import Pixels, Region
from gateway.layout.owner import Layout
from gateway.layout.paddlex import PaddleXLayout

SIZES = ((900, 700), (500, 1300), (2339, 1654), (300, 300), (1169, 827)) * 3

_SCORE = 1e-4

Found = list[tuple[Region, ...]]


async def in_parallel(model: PaddleXLayout, pages: list[Pixels]) -> Found:
    """All pages at once through the one thread that owns the model."""
    found: dict[int, tuple[Region, ...]] = {}
    async with Layout(lambda: model) as layout:

        async def detect(index: int) -> None:
            found[index] = await layout.detect(pages[index])

        async with anyio.create_task_group() as tasks:
            for index in range(len(pages)):
                tasks.start_soon(detect, index)
    return [found[index] for index in range(len(pages))]


def main() -> int:
    draw = np.random.default_rng(0)
    pages = [draw.integers(0, 75 + 12 * index, (*size, 3), dtype=np.uint8) for index, size in enumerate(SIZES)]
    wrong = 0
    for argument in sys.argv[1:]:
        kind, _, folders = argument.partition("=")
        answers: list[Found] = []
        for engine, folder in zip(("paddle_static", "onnxruntime"), folders.split(","), strict=True):
            model = PaddleXLayout(f"PP-DocLayout{kind}", folder, engine, "cpu")
            alone = [model.detect([page])[0] for page in pages]
            same = anyio.run(partial(in_parallel, model, pages)) == alone
            sys.stdout.write(f"{kind} {engine}: {len(pages)} pages in parallel {'as' if same else 'not as'} alone\n")
            wrong += not same
            answers.append(alone)
        agree = sum(_alike(one, other) for one, other in zip(*answers, strict=True))
        sys.stdout.write(f"{kind}: the engines agree on {agree} of {len(pages)} pages, to a pixel\n")
        wrong += agree != len(pages)
    return int(wrong > 0)


def _alike(some: tuple[Region, ...], others: tuple[Region, ...]) -> bool:
    """The same regions in the same order; the last bit of a float may put a side on the next pixel."""
    return len(some) == len(others) and all(
        (one.label, one.order) == (other.label, other.order)
        and abs(one.score - other.score) < _SCORE
        and max(abs(a - b) for a, b in zip(one.bbox, other.bbox, strict=True)) <= 1
        for one, other in zip(some, others, strict=True)
    )


sys.exit(main())
