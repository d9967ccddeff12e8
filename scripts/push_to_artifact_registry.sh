#!/usr/bin/env bash
# Pushes a built image to an artifact registry:  scripts/push_to_artifact_registry.sh [--dry-run] [IMAGE]
# IMAGE is the local image (default: paddleocr-vl-service). stdout has one line: what was pushed, with its digest.
#
#   REGISTRY_ENDPOINT  host[:port][/path] of the registry, without https://
#   KEY_ID             id of the access key
#   KEY_SECRET         its secret; goes to docker over stdin, and into no file, no argument and no child's environment
#   VERSION            tag to push, such as 1.4.0
#   IMAGE_NAME         the image's name in the registry (default: paddleocr-vl-service)
#   PUSH_ATTEMPTS      how often login and push are tried (4)
#   RETRY_DELAY_S      seconds before the second try, doubled before each further one (5)
#
# The exit status is 0 when it is pushed, 1 when docker could not, 2 when something is wrong before the start (each line
# names its variable). --dry-run checks the variables, prints the commands and runs none.
{ set +x; } 2>/dev/null # `bash -x` would print the secret
set -euo pipefail

dry_run=''
image=paddleocr-vl-service
problems=()

say() { printf 'push | %s\n' "$*" >&2; }
problem() { problems+=("$*"); }

usage() {
  say "usage: scripts/push_to_artifact_registry.sh [--dry-run] [IMAGE]"
  exit 2
}

read_arguments() {
  local given=''
  while [ "$#" -gt 0 ]; do
    case $1 in
      --dry-run) dry_run=1 ;;
      -*) usage ;;
      *)
        [ -z "$given" ] || usage
        given=$1
        ;;
    esac
    shift
  done
  image=${given:-$image}
}

# The value of the variable named $1 has to look like $2, which $3 says in words.
check() {
  if [ -z "${!1:-}" ]; then
    problem "$1 is not set: $3"
  elif ! [[ ${!1} =~ ^($2)$ ]]; then
    problem "$1 is not $3"
  fi
}

check_variables() {
  local name='[a-z0-9]+([._-]+[a-z0-9]+)*'
  REGISTRY_ENDPOINT=${REGISTRY_ENDPOINT:-}
  REGISTRY_ENDPOINT=${REGISTRY_ENDPOINT%/}
  IMAGE_NAME=${IMAGE_NAME:-paddleocr-vl-service} PUSH_ATTEMPTS=${PUSH_ATTEMPTS:-4} RETRY_DELAY_S=${RETRY_DELAY_S:-5}
  check REGISTRY_ENDPOINT "[A-Za-z0-9.-]+(:[0-9]{1,5})?(/$name)*" "the registry's host[:port][/path], without https://"
  check KEY_ID '[^[:space:]]+' "the id of the access key, in one word"
  check KEY_SECRET '[^[:space:]]+' "the secret of the access key, in one word"
  check VERSION '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}' "a tag: letters, digits, dots, dashes, at most 128 characters"
  check IMAGE_NAME "$name(/$name)*" "a name in the registry: lower case, digits, dots, dashes, slashes"
  check PUSH_ATTEMPTS '[1-9][0-9]?' "a number from 1 to 99"
  check RETRY_DELAY_S '[0-9]{1,3}' "a number of seconds, at most 999"
}

check_docker() {
  if ! command -v docker >/dev/null; then
    problem "docker is not on the PATH"
  elif ! docker image inspect "$image" >/dev/null 2>"$scratch/error"; then
    problem "there is no image $image ($(tail -n 1 "$scratch/error")); build it:" \
      "docker build -f docker/Dockerfile -t $image ."
  fi
}

give_up_on_problems() {
  local each
  [ "${#problems[@]}" -eq 0 ] && return
  for each in "${problems[@]}"; do say "$each"; done
  exit 2
}

# Runs `$2...` until it succeeds, with what it says in $scratch/said; $1 says what it is. A refusal is final.
persist() {
  local what=$1 attempt=1 delay=$RETRY_DELAY_S status
  shift
  while true; do
    "$@" 2>&1 | tee "$scratch/said" >&2 && return
    status=$?
    if grep -qiE 'unauthorized|denied|forbidden|incorrect username|invalid reference|does not exist' "$scratch/said"; then
      say "$what was refused; look at KEY_ID, KEY_SECRET and the rights of the key on $REGISTRY_ENDPOINT"
      return 1
    fi
    if [ "$attempt" -ge "$PUSH_ATTEMPTS" ]; then
      say "$what failed $attempt times (exit status $status); is REGISTRY_ENDPOINT $REGISTRY_ENDPOINT right and in reach?"
      return 1
    fi
    say "$what failed (try $attempt of $PUSH_ATTEMPTS); again in $delay s"
    sleep "$delay"
    attempt=$((attempt + 1)) delay=$((delay * 2))
  done
}

log_in() { printf '%s' "$KEY_SECRET" | docker login "${REGISTRY_ENDPOINT%%/*}" --username "$KEY_ID" --password-stdin; }

# docker writes the secret to its configuration: to one of our own, which is gone with this script. The daemon is the
# one that the user's configuration names.
own_configuration() {
  local host
  if [ -z "${DOCKER_HOST:-}" ]; then
    host=$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null || true)
    [ -z "$host" ] || export DOCKER_HOST=$host
  fi
  export DOCKER_CONFIG=$scratch/docker
  mkdir "$DOCKER_CONFIG"
}

main() {
  local target digest
  read_arguments "$@"
  umask 077
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  export -n KEY_SECRET 2>/dev/null || true
  check_variables
  [ -n "$dry_run" ] || check_docker
  give_up_on_problems
  target=$REGISTRY_ENDPOINT/$IMAGE_NAME:$VERSION
  if [ -n "$dry_run" ]; then
    say "nothing is done; without --dry-run this would run:"
    say "docker login ${REGISTRY_ENDPOINT%%/*} --username $KEY_ID --password-stdin"
    say "docker tag $image $target"
    say "docker push $target"
    return
  fi
  own_configuration
  persist "the login at ${REGISTRY_ENDPOINT%%/*}" log_in || return 1
  docker tag "$image" "$target" || return 1
  persist "the push of $target" docker push "$target" || return 1
  digest=$(grep -oE 'digest: sha256:[0-9a-f]{64}' "$scratch/said" | tail -n 1 || true)
  if [ -z "$digest" ]; then
    say "pushed $target, but docker told no digest"
    return 1
  fi
  printf '%s@%s\n' "$target" "${digest#digest: }"
}

main "$@"
