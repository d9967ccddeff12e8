#!/usr/bin/env bash
# Tries the whole service on this machine, without GPU and model weights:  scripts/run.sh [--once] [FILE...]
# Installs what is missing, starts both processes with the embedded CPU backend, prints the Markdown of the files (or of
# a sample page) and nothing else on stdout, then serves until Ctrl-C; with --once it stops and leaves no process.
# GATEWAY_PORT and GENAI_PORT choose other ports. The exit status is 0 only if every file was read.
set -euo pipefail
set -m # every child is a group of its own: signals come to this script, which ends the groups
root=$(cd "$(dirname "$0")/.." && pwd)
once=''
if [ "${1:-}" = --once ]; then
  once=1
  shift
fi
files=("$@")
if [ "$#" -eq 0 ]; then files=("$root/tests/pages/en_a4.png"); fi

say() { printf 'run | %s\n' "$*" >&2; }

# shellcheck disable=SC2317 # called by the trap
end_children() {
  local group
  trap '' INT TERM HUP
  for group in $(jobs -p); do kill -TERM -- "-$group" 2>/dev/null || true; done
  wait 2>/dev/null || true
  if [ -n "${scratch:-}" ]; then rm -rf "$scratch"; fi
}

show_logs() {
  say "the service did not work; the ends of its logs:"
  tail -n 15 "$RUN_DIR"/log/*.log >&2 || true
}

for file in "${files[@]}"; do
  if ! [ -f "$file" ] || ! [ -r "$file" ]; then
    say "cannot read ${file}"
    exit 2
  fi
done
trap end_children EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

"$root/scripts/install.sh" cpu &
wait $!

export GENAI_BACKEND=cpu LAYOUT_DETECTOR=${LAYOUT_DETECTOR:-cpu} GATEWAY_PYTHON=$root/.venv/bin/python
export GATEWAY_PORT=${GATEWAY_PORT:-8081}
if [ -z "${RUN_DIR:-}" ]; then
  scratch=$(mktemp -d)
  export RUN_DIR=$scratch
fi
url=http://127.0.0.1:$GATEWAY_PORT
say "starting the service"
"$root/entrypoint.sh" >/dev/null &
service=$!
"$root/.venv/bin/python" "$root/scripts/read.py" "$url" 180 "${files[@]}" &

wait -n && status=0 || status=$? # the reader, or a service that did not live that long
if ! kill -0 "$service" 2>/dev/null; then
  if [ "$status" -eq 2 ]; then exit 2; fi # the entrypoint has told what is wrong
  show_logs
  exit 1
fi
if [ "$status" -eq 3 ]; then # never healthy
  show_logs
  exit 1
fi
if [ -n "$once" ]; then exit "$status"; fi

say "serving on $url until Ctrl-C; try: curl -F file=@PAGE.png $url/ocr"
trap 'exit "$status"' INT TERM HUP
wait "$service" || status=$?
show_logs
exit "$status"
