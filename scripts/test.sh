#!/usr/bin/env bash
# Passes the tests, on a fresh machine too. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh cpu paddlex dev
exec .venv/bin/python -m pytest "$@"
