#!/usr/bin/env bash
# Puts the gateway beside the genai server of a base image, as root, while the image is built: an environment of its own
# (VENV, default /opt/gateway), a Python of its own where the image's is older than 3.11, PaddleX with onnxruntime-gpu.
# Nothing of the image's own Python is touched, and the environment's bin/ is not on the PATH.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export VENV=${VENV:-/opt/gateway}
linker=${LINKER_CONF:-/etc/ld.so.conf.d/gateway-cuda.conf}
# The newest built for CUDA 12, which the image's torch brings; 1.27 and later want CUDA 13.
onnxruntime=1.26.0

say() { printf 'install-gateway | %s\n' "$*" >&2; }

# scripts/install.sh takes a new enough Python from the PATH or from apt; older distributions have none.
need_python() {
  local offered candidate
  if [ -n "${PYTHON:-}" ]; then return; fi
  for candidate in python3.11 python3.12 python3.13; do
    if command -v "$candidate" >/dev/null; then return; fi
  done
  apt-get update -qq
  offered=$(apt-cache policy python3 | awk '/Candidate:/ {print $2}')
  if dpkg --compare-versions "$offered" ge 3.11; then return; fi
  say "this distribution offers Python $offered; getting 3.11 with uv"
  python3 -m venv /tmp/uv
  /tmp/uv/bin/pip install --quiet uv
  export UV_PYTHON_INSTALL_DIR=/opt/python
  /tmp/uv/bin/uv python install 3.11
  PYTHON=$(/tmp/uv/bin/uv python find --managed-python 3.11)
  export PYTHON
  rm -rf /tmp/uv
}

# Folders of CUDA libraries that pip installed for the Python named.
cuda_folders() {
  "$1" -c 'import glob, site; print(*(f for s in site.getsitepackages() for f in glob.glob(s + "/nvidia/*/lib")), sep="\n")'
}

missing_libraries() {
  ldconfig
  ldd "$("$VENV/bin/python" -c 'import importlib.util as u; print(u.find_spec("onnxruntime").submodule_search_locations[0])')"/capi/libonnxruntime_providers_cuda.so |
    awk '/not found/ {print $1}'
}

use_gpu() {
  say "replacing onnxruntime by onnxruntime-gpu $onnxruntime"
  "$VENV/bin/pip" uninstall --quiet --yes onnxruntime
  "$VENV/bin/pip" install --quiet --no-deps "onnxruntime-gpu==$onnxruntime"
  cuda_folders python3 >"$linker"
  if [ -n "$(missing_libraries)" ]; then
    say "the image's Python has no CUDA 12 libraries for it; installing them"
    "$VENV/bin/pip" install --quiet "onnxruntime-gpu[cuda,cudnn]==$onnxruntime" -c "$root/constraints.txt"
    cuda_folders "$VENV/bin/python" >"$linker"
  fi
  if [ -n "$(missing_libraries)" ]; then
    say "onnxruntime-gpu lacks $(missing_libraries | xargs)"
    exit 1
  fi
}

need_python
"$root/scripts/install.sh" paddlex docx otel
use_gpu
"$VENV/bin/python" -c 'import gateway.listener, onnxruntime, paddlex; print(onnxruntime.get_available_providers())' >&2
