"""Five minutes of the soak that `scripts/soak` goes on with for an hour."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from chaos.soak import soak


@pytest.mark.timeout(420)
async def test_five_minutes_of_mixed_load_leave_nothing_behind(figures: Callable[[str], None]) -> None:
    """Documents of every kind, callers that leave, and faults: no memory, descriptor, thread or process stays."""
    assert await soak(300, figures, callers=3, pause=0.15) == []
