"""What a page goes through before its regions are found, where a caller asks for it: turned upright, flattened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import anyio
import numpy as np

from gateway.document import Page, Pixels, Preparation
from gateway.errors import LayoutFailed, LayoutUnavailable
from gateway.layout.paddlex import best_device, import_paddlex

Step = Literal["orientation", "unwarping"]

MODELS: dict[Step, str] = {"orientation": "PP-LCNet_x1_0_doc_ori", "unwarping": "UVDoc"}


class PaddleXSteps:
    """PaddleX's models for some of the steps, loaded. `folders` has local ones; a step without is in PaddleX's cache or
    comes from a hub. Raises `LayoutUnavailable` when PaddleX is not installed or a model does not load and run."""

    def __init__(
        self, steps: frozenset[Step], folders: dict[Step, str], engine: str = "onnxruntime", device: str = ""
    ) -> None:
        import_paddlex()
        import paddlex

        self._models: dict[Step, Any] = {}
        for step in sorted(steps):
            try:
                self._models[step] = paddlex.create_model(
                    MODELS[step], folders.get(step) or None, engine=engine, device=device or best_device(engine)
                )
                self(np.full((64, 64, 3), 255, np.uint8), frozenset({step}))
            except Exception as exc:  # PaddleX and its engines raise anything, bare Exception included
                message = f"{MODELS[step]} could not be loaded with the engine {engine}: {exc}"
                raise LayoutUnavailable(message) from exc

    def __call__(self, pixels: Pixels, steps: frozenset[Step]) -> tuple[Pixels, int | None]:
        """The page after the steps, and by how many degrees it was turned counterclockwise, None if nobody looked."""
        angle = None
        if "orientation" in steps:
            answer = next(iter(self._models["orientation"].predict(_bgr(pixels))))
            angle = int(answer["label_names"][0])
            pixels = np.ascontiguousarray(np.rot90(pixels, angle // 90))
        if "unwarping" in steps:
            answer = next(iter(self._models["unwarping"].predict(_bgr(pixels))))
            pixels = np.ascontiguousarray(answer["doctr_img"])  # of a BGR picture it makes an RGB one
        return pixels, angle


class Preparer:
    """The steps that are there, behind an async face; the models are loaded at the first page or by `load`.

    One page at a time: PaddleX's predictors are not made for several threads.
    """

    def __init__(self, steps: frozenset[Step] = frozenset(), load: Callable[[], PaddleXSteps] | None = None) -> None:
        self.steps = steps
        self._load = load
        self._models: PaddleXSteps | None = None
        self._one = anyio.CapacityLimiter(1)

    async def load(self) -> None:
        """Load the models now. Raises `LayoutUnavailable`."""
        if self.steps:
            await anyio.to_thread.run_sync(self._loaded, limiter=self._one, abandon_on_cancel=True)

    async def prepare(self, page: Page, steps: frozenset[Step]) -> tuple[Page, Preparation]:
        """The page after the steps, all of which have to be there. Raises `LayoutFailed`, `LayoutUnavailable`."""
        pixels, angle = await anyio.to_thread.run_sync(self._run, page.pixels, steps, limiter=self._one)
        done = Preparation(angle, "unwarping" in steps, page.width, page.height)
        return Page(page.number, pixels), done

    def _loaded(self) -> PaddleXSteps:
        if self._models is None:
            if self._load is None:
                raise LayoutUnavailable("There are no models for pages.")
            self._models = self._load()
        return self._models

    def _run(self, pixels: Pixels, steps: frozenset[Step]) -> tuple[Pixels, int | None]:
        models = self._loaded()
        try:
            return models(pixels, steps)
        except Exception as exc:
            raise LayoutFailed("The page could not be turned upright or flattened.", code="preparation_failed") from exc


def _bgr(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[..., ::-1])
