from __future__ import annotations

from pathlib import Path

import numpy as np

from gateway.intake.rows import write_rows


def test_rows_are_written_over_the_beginning_of_a_file(tmp_path: Path) -> None:
    """Old content may follow, and a file that is too short grows."""
    path, rows = tmp_path / "page", np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    for before, after in ((b"x" * 30, b"x" * 6), (b"", b"")):
        path.write_bytes(before)
        write_rows(rows.data, str(path))
        assert path.read_bytes() == rows.tobytes() + after
