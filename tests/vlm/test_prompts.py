from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.document import Task
from gateway.vlm.prompts import PROMPTS, fitted


def test_every_task_has_a_prompt_of_its_own() -> None:
    """The model tells the tasks apart by nothing else."""
    assert set(PROMPTS) == set(Task)
    assert len({prompt.text for prompt in PROMPTS.values()}) == len(Task)


@given(st.integers(1, 30_000), st.integers(1, 30_000), st.sampled_from(Task))
def test_a_fitted_crop_is_within_the_budget_and_no_larger_than_before(width: int, height: int, task: Task) -> None:
    """Whatever its shape, it keeps at least a pixel each way."""
    fit_width, fit_height = fitted(width, height, task)
    assert 1 <= fit_width <= width and 1 <= fit_height <= height
    assert fit_width * fit_height <= PROMPTS[task].max_pixels


@pytest.mark.parametrize(("size", "expected"), [((800, 1000), (800, 1000)), ((2000, 2000), (1001, 1001))])
def test_only_crops_over_the_budget_are_scaled(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """The shape stays."""
    assert fitted(*size, Task.OCR) == expected
