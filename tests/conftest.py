"""What holds for all tests."""

from __future__ import annotations

from gateway.settings import keep_libraries_quiet

keep_libraries_quiet()
