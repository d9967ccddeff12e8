"""docs/security.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_threat_has_a_test_that_exists() -> None:
    """Each row ends in at least one test file, each file is there, and each test is in its file."""
    rows = [line for line in (ROOT / "docs" / "security.md").read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith(("| threat", "| ---"))]
    assert len(rows) >= 40
    for row in rows:
        shown = row.rsplit(" | ", 1)[1]
        named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", shown)
        assert named or shown.startswith("the same"), row
        for path, test in named:
            assert f"def {test}" in (ROOT / path).read_text(), (path, test)
