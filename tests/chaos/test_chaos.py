"""The supervised service under every failure of its backends, several at once, and killed itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from chaos.chaos import FAULTS, GREAT, chaos


@pytest.mark.timeout(180)
async def test_every_request_ends_true(figures: Callable[[str], None]) -> None:
    """None is lost, hung, or told 500; whole results are the undisturbed ones, and others say what failed."""
    found = await chaos(seconds=40, requests=2500)
    figures(str(found))
    assert found.wrong == []
    assert found.answered >= 2500
    assert found.outcomes["complete"] > 1000
    assert set(found.faults) == {*FAULTS, *GREAT} and found.together > 3
