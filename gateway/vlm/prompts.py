"""What the model is asked for each task, and how large a crop it looks at (PaddleX 3.7.2, `paddleocr_vl` pipeline)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.document import Sampling, Task


@dataclass(frozen=True, slots=True)
class Prompt:
    """One task in the model's own terms; `min_pixels` and `max_pixels` bound width times height of the crop."""

    text: str
    min_pixels: int = 112_896
    max_pixels: int = 1_003_520
    max_tokens: int = 4096
    skip_special_tokens: bool = True


PROMPTS = {
    Task.OCR: Prompt("OCR:"),
    Task.TABLE: Prompt("Table Recognition:"),
    Task.FORMULA: Prompt("Formula Recognition:"),
    Task.CHART: Prompt("Chart Recognition:"),
    Task.SEAL: Prompt("Seal Recognition:"),
    # the places of the words come back as special tokens
    Task.SPOTTING: Prompt("Spotting:", max_pixels=1_605_632, skip_special_tokens=False),
}


def pixel_budget(task: Task, sampling: Sampling) -> tuple[int, int]:
    """The least and the most pixels of a crop for a task; spotting keeps its own whatever the caller wants."""
    prompt = PROMPTS[task]
    least, most = prompt.min_pixels, prompt.max_pixels
    if task is not Task.SPOTTING:
        own = next(((low, high) for of, low, high in sampling.budgets if of is task), (None, None))
        least = own[0] or sampling.min_pixels or least
        most = own[1] or sampling.max_pixels or most
    return least, most
