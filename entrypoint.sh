#!/usr/bin/env bash
# Starts the gateway and its backend under supervisord and stays, as process 1 of a container or anywhere else.
# Ends with 0 after SIGTERM, SIGINT or `supervisorctl shutdown`, with 1 when a process could not be kept alive, and with
# 2 when something is wrong before the start. Needs bash, flock and setsid (util-linux) and a Python with the gateway installed.
#
# Variables of its own (docs/operations.md), beside the settings of the gateway (README.md):
#   GATEWAY_PYTHON          Python of the gateway's environment (default: .venv here, else python3)
#   RUN_DIR                 the only folder written to: control socket, logs (default: a folder of this port under /tmp)
#   GPU_MEMORY_UTILIZATION  share of the GPU's memory that vLLM takes (0.5; the layout model lives beside it)
#   MAX_MODEL_LEN           longest request in tokens, picture included (16384)
#   MAX_NUM_BATCHED_TOKENS  tokens in one step of the engine (16384; larger makes the start minutes longer)
#   GENAI_CONFIG            a YAML file of vLLM's options to use in place of the one written from the three above
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
problems=()

export GENAI_BACKEND=${GENAI_BACKEND:-paddlex} GENAI_PORT=${GENAI_PORT:-8118}
export GATEWAY_PORT=${GATEWAY_PORT:-8081} GATEWAY_HOST=${GATEWAY_HOST:-0.0.0.0}
default_run_dir=${TMPDIR:-/tmp}/paddleocr-vl-$UID-$GATEWAY_PORT
export RUN_DIR=${RUN_DIR:-$default_run_dir}
VLM_MODEL_NAME=${VLM_MODEL_NAME:-PaddleOCR-VL-1.5-0.9B}
DRAIN_S=${DRAIN_S:-60}
paddlex_cache=${PADDLE_PDX_CACHE_HOME:-${HOME:-}/.paddlex}/official_models
if [ -z "${GATEWAY_PYTHON:-}" ]; then
  if [ -x "$here/.venv/bin/python" ]; then GATEWAY_PYTHON=$here/.venv/bin/python; else GATEWAY_PYTHON=python3; fi
fi
export GATEWAY_PYTHON

say() { printf 'entrypoint | %s\n' "$*" >&2; }
problem() { problems+=("$*"); }

give_up_on_problems() {
  [ "${#problems[@]}" -eq 0 ] && return
  for each in "${problems[@]}"; do say "$each"; done
  exit 2
}

check_python() {
  "$GATEWAY_PYTHON" -c 'import sys, gateway.listener, supervisor.supervisord; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    problem "GATEWAY_PYTHON: $GATEWAY_PYTHON is no Python 3.11 or newer with the gateway installed (scripts/install.sh)"
}

# A number of $2 (integer or decimal) in the variable named $1 with the value $3.
check_number() {
  local form='^[0-9]+(\.[0-9]+)?$'
  [ "$2" = integer ] && form='^[0-9]+$'
  [[ $3 =~ $form ]] || problem "$1: \"$3\" is no $2"
}

check_port() {
  if ! [[ $2 =~ ^[0-9]{1,5}$ ]] || ((10#$2 < 1 || 10#$2 > 65535)); then
    problem "$1: \"$2\" is no port (1 to 65535)"
  elif (: <"/dev/tcp/127.0.0.1/$2") 2>/dev/null; then
    problem "$1: port $2 is taken by another program; choose another one with $1"
  fi
}

# The folder of weights in the variable named $1 has to be whole; without one the hub's $3 is looked for under $4, the
# cache of what will load it, and a hub is asked. $2 and what follows are the words of gateway.weights.
check_weights() {
  local variable=$1 kind=$2 name=$3 cache=$4 line
  if [ -n "${!variable:-}" ]; then
    while read -r line; do
      problem "$variable: $line"
    done < <("$GATEWAY_PYTHON" -m gateway.weights "$kind" "${!variable}" "${LAYOUT_ENGINE:-onnxruntime}" 2>/dev/null)
  elif [ -d "$cache/$name" ]; then
    return
  elif [[ ${HF_HUB_OFFLINE:-} =~ ^(1|[Oo][Nn]|[Yy][Ee][Ss]|[Tt][Rr][Uu][Ee])$ ]]; then
    problem "$variable: is not set, there is no $name in $cache, and HF_HUB_OFFLINE forbids to ask a hub;" \
      "scripts/fetch-weights fetches it where there is a network"
  else
    say "$variable is not set and there is no $name in $cache: it will be fetched from a hub (closed network:" \
      "scripts/fetch-weights)"
  fi
}

check_gpu() {
  local devices=(/dev/nvidia[0-9]*)
  [ -e "${devices[0]}" ] || [ -e /dev/dxg ] || nvidia-smi -L >/dev/null 2>&1 ||
    problem "GENAI_BACKEND: $GENAI_BACKEND needs an NVIDIA GPU and none is visible here; give the container one" \
      "(docker run --gpus all), or set GENAI_BACKEND=cpu to try it without"
}

check_command() {
  command -v "$1" >/dev/null || problem "GENAI_BACKEND: $GENAI_BACKEND needs $1, which is not on the PATH"
}

check_engine() {
  check_command "$1"
  check_gpu
  check_weights VLM_MODEL_DIR vlm "$2" "$3"
  check_number GPU_MEMORY_UTILIZATION decimal "${GPU_MEMORY_UTILIZATION:-0.5}"
  check_number MAX_MODEL_LEN integer "${MAX_MODEL_LEN:-16384}"
  check_number MAX_NUM_BATCHED_TOKENS integer "${MAX_NUM_BATCHED_TOKENS:-16384}"
  [ -z "${GENAI_CONFIG:-}" ] || [ -r "$GENAI_CONFIG" ] || problem "GENAI_CONFIG: cannot read $GENAI_CONFIG"
}

# `auto` takes a model that is there; it asks no hub.
check_layout() {
  local engine=${LAYOUT_ENGINE:-onnxruntime} suffix=''
  [ "$engine" != onnxruntime ] || suffix=_onnx
  [ -n "${LAYOUT_MODEL_DIR:-}" ] || [ "${LAYOUT_DETECTOR:-auto}" = paddlex ] || return 0
  check_weights LAYOUT_MODEL_DIR layout "${LAYOUT_MODEL_NAME:-PP-DocLayoutV3}$suffix" "$paddlex_cache"
}

check_settings() {
  check_python
  check_port GATEWAY_PORT "$GATEWAY_PORT"
  check_number DRAIN_S decimal "$DRAIN_S"
  check_layout
  [ "$GENAI_BACKEND" = external ] || check_port GENAI_PORT "$GENAI_PORT"
  [ "$GENAI_PORT" != "$GATEWAY_PORT" ] || problem "GENAI_PORT and GATEWAY_PORT are both $GENAI_PORT"
  case $GENAI_BACKEND in
    paddlex) check_engine paddlex_genai_server "${VLM_MODEL_NAME%-0.9B}" "$paddlex_cache" ;;
    vllm)
      check_engine vllm "models--PaddlePaddle--${VLM_MODEL_NAME%-0.9B}" "${HF_HOME:-${HOME:-}/.cache/huggingface}/hub"
      ;;
    cpu) ;;
    external) [ -n "${VLM_URLS:-}" ] || problem "VLM_URLS: GENAI_BACKEND=external needs the address of a backend" ;;
    *) problem "GENAI_BACKEND: \"$GENAI_BACKEND\" is none of paddlex, vllm, cpu, external" ;;
  esac
}

make_run_dir() {
  # supervisord.conf expands the path, and a socket's name has 108 characters at most.
  [[ $RUN_DIR =~ ^/[A-Za-z0-9._/+-]{1,79}$ ]] ||
    problem "RUN_DIR: \"$RUN_DIR\" is no absolute path of at most 80 plain characters (A-Z a-z 0-9 . _ / + -)"
  give_up_on_problems
  umask 077
  { mkdir -p "$RUN_DIR/log" && : >"$RUN_DIR/lock"; } 2>/dev/null ||
    problem "RUN_DIR: cannot write to $RUN_DIR as user $UID"
  [ "$RUN_DIR" != "$default_run_dir" ] || [ -O "$RUN_DIR" ] || # anyone can make a folder under /tmp
    problem "RUN_DIR: $RUN_DIR is another user's; choose another folder"
  give_up_on_problems
  exec {lock}<"$RUN_DIR/lock"
  flock --nonblock "$lock" || problem "RUN_DIR: another service runs in $RUN_DIR"
  give_up_on_problems
  rm -f "$RUN_DIR/failed" "$RUN_DIR"/log/*
  # Under a read-only root, or for a user without a home: spooled uploads, caches of vLLM and PaddleX.
  mkdir -p "$RUN_DIR/tmp" "$RUN_DIR/home"
  [ -w "${TMPDIR:-/tmp}" ] || export TMPDIR=$RUN_DIR/tmp
  [ -w "${HOME:-/nowhere}" ] || export HOME=$RUN_DIR/home
}

# Keys that the real parsers of vLLM 0.10.2 and 0.33.0 take; paddlex_genai_server makes a flag of any boolean, even false.
write_engine_config() {
  cat >"$RUN_DIR/vllm.yaml" <<YAML
trust-remote-code: true
gpu-memory-utilization: ${GPU_MEMORY_UTILIZATION:-0.5}
max-model-len: ${MAX_MODEL_LEN:-16384}
max-num-batched-tokens: ${MAX_NUM_BATCHED_TOKENS:-16384}
no-enable-prefix-caching: true
mm-processor-cache-gb: 0
disable-uvicorn-access-log: true
scheduling-policy: priority
YAML
}

# $RUN_DIR/genai.sh: what the program `genai` runs.
write_genai() {
  local command config=${GENAI_CONFIG:-$RUN_DIR/vllm.yaml}
  local model=${VLM_MODEL_DIR:-PaddlePaddle/${VLM_MODEL_NAME%-0.9B}} # the hub's name leaves the size out
  case $GENAI_BACKEND in
    paddlex)
      command=(paddlex_genai_server --model_name "$VLM_MODEL_NAME" --backend vllm --host 127.0.0.1
        --port "$GENAI_PORT" --backend_config "$config" ${VLM_MODEL_DIR:+--model_dir "$VLM_MODEL_DIR"})
      ;;
    vllm)
      command=(vllm serve "$model" --served-model-name "$VLM_MODEL_NAME" --host 127.0.0.1 --port "$GENAI_PORT"
        --config "$config")
      ;;
    cpu) command=("$GATEWAY_PYTHON" -m gateway cpu-backend) ;;
    external) return ;;
  esac
  {
    echo '# Written by entrypoint.sh at every start.'
    echo 'export VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1'
    [ -z "${VLM_MODEL_DIR:-}" ] || echo 'export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1'
    printf 'exec'
    printf ' %q' "${command[@]}"
    echo
  } >"$RUN_DIR/genai.sh"
}

# Kill what a supervisord that was killed left behind: it has the session $1, which was supervisord's own.
end_session() {
  local process fields
  for process in /proc/[0-9]*; do
    fields='' # not $(<file): under set -e, bash 5.2 ends when a process is gone by then
    { read -rd '' fields <"$process/stat"; } 2>/dev/null || [ -n "$fields" ] || continue
    read -ra fields <<<"${fields##*) }" # state, parent, group, session
    [ "${fields[3]}" != "$1" ] || kill -KILL "${process#/proc/}" 2>/dev/null || true
  done
}

# supervisord is a child, not this process: it exits 0 even when the listener ended it, and its logs have to be copied
# to stdout until the very last line. bash reaps what is left to process 1.
run_supervisord() {
  local status=0 stopping='' supervisord='' alive follower
  trap 'stopping=1; [ -z "$supervisord" ] || kill -TERM "$supervisord" 2>/dev/null || true' TERM INT HUP
  say "gateway on $GATEWAY_HOST:$GATEWAY_PORT, backend $GENAI_BACKEND; logs in $RUN_DIR/log; to look inside:" \
    "RUN_DIR=$RUN_DIR $GATEWAY_PYTHON -m supervisor.supervisorctl -c $here/supervisord.conf status"
  exec {alive}> >(exec "$GATEWAY_PYTHON" -m gateway.follow "$RUN_DIR/log")
  follower=$!
  setsid "$GATEWAY_PYTHON" -m supervisor.supervisord -c "$here/supervisord.conf" {alive}>&- &
  supervisord=$!
  [ -z "$stopping" ] || kill -TERM "$supervisord" 2>/dev/null || true
  while true; do # a signal for us ends `wait` early
    wait "$supervisord" && status=0 || status=$?
    kill -0 "$supervisord" 2>/dev/null || break
  done
  end_session "$supervisord"
  exec {alive}>&-
  while kill -0 "$follower" 2>/dev/null; do wait "$follower" || true; done
  if [ -e "$RUN_DIR/failed" ]; then
    say "stopped: $(cat "$RUN_DIR/failed")"
    return 1
  fi
  [ -n "$stopping" ] || return "$status"
}

cd "$here"
check_settings
make_run_dir
export GENAI_NUMPROCS=1 GATEWAY_STOP_S=$((10#${DRAIN_S%.*} + 10))
[ "$GENAI_BACKEND" = external ] && GENAI_NUMPROCS=0
write_engine_config
write_genai
run_supervisord
