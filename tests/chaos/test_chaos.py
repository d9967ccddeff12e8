"""The supervised service under every failure of its backends, several at once, and killed itself."""

from __future__ import annotations

import pytest
from chaos.chaos import FAULTS, GREAT, chaos


@pytest.mark.timeout(180)
async def test_every_request_ends_true(capsys: pytest.CaptureFixture[str]) -> None:
    """None is lost, hung, or told 500; whole results are the undisturbed ones, and others say what failed."""
    figures = await chaos(seconds=25, requests=1000)
    with capsys.disabled():
        print(f"\n{figures}")  # noqa: T201
    assert figures.wrong == []
    assert figures.answered >= 1000
    assert figures.outcomes["complete"] > 100
    assert set(figures.faults) == {*FAULTS, *GREAT}
