#!/usr/bin/env bash
# Passes the tests, on a fresh machine too. Arguments go to pytest. Files or tests that are named run in one process;
# otherwise four processes share all tests, and those marked `alone` come last, one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh cpu paddlex dev
for argument in "$@"; do
  if [ -e "${argument%%::*}" ]; then exec .venv/bin/python -m pytest "$@"; fi
done
shared=0 alone=0
.venv/bin/python -m pytest -m "not alone" --numprocesses 4 --dist loadfile --no-loadscope-reorder "$@" || shared=$?
.venv/bin/python -m pytest -m alone "$@" || alone=$?
none=5 # of the tests were meant
if [ "$shared" -eq "$none" ]; then exit "$alone"; fi
if [ "$alone" -eq "$none" ]; then alone=0; fi
exit $((shared > alone ? shared : alone))
