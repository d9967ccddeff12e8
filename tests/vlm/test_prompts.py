from __future__ import annotations

from gateway.document import Sampling, Task
from gateway.vlm.prompts import PROMPTS, pixel_budget


def test_every_task_has_a_prompt_of_its_own() -> None:
    """The model tells the tasks apart by nothing else."""
    assert set(PROMPTS) == set(Task)
    assert len({prompt.text for prompt in PROMPTS.values()}) == len(Task)


def test_a_caller_may_choose_the_budget_of_all_tasks_but_spotting() -> None:
    """The budget of a task comes before that of all, and spotting keeps the one its locations are trained for."""
    sampling = Sampling(min_pixels=10, max_pixels=1000, budgets=((Task.TABLE, None, 2000),))
    assert pixel_budget(Task.OCR, Sampling()) == (112_896, 1_003_520)
    assert pixel_budget(Task.OCR, sampling) == (10, 1000)
    assert pixel_budget(Task.TABLE, sampling) == (10, 2000)
    assert pixel_budget(Task.SPOTTING, sampling)[1] == 1_605_632
