#!/usr/bin/env bash
# Installs the project with the extras named (cpu, paddlex, docx, otel, dev) into .venv, or into $VENV; all words go to stderr.
# Quick when nothing has changed. The extra `cpu` includes Tesseract with Russian, `dev` a browser to test the page in,
# from apt where this user may, and promtool.
set -euo pipefail
exec 1>&2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${VENV:-$root/.venv}
stamp=$venv/.installed # line 1: a sum of what decides; line 2: the extras
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf 'install | %s\n' "$*"; }

apt_install() {
  local sudo=()
  if [ "$UID" -ne 0 ]; then sudo=(sudo -n); fi
  if ! command -v apt-get >/dev/null || ! "${sudo[@]}" true 2>/dev/null; then
    say "cannot install Debian's $* (no apt-get, or no right to use it)"
    return 1
  fi
  say "installing with apt-get: $*"
  apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
  "${apt[@]}" install -y --no-install-recommends "$@" >/dev/null 2>&1 ||
    { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$@" >/dev/null; }
}

have_russian() { [[ $(tesseract --list-langs 2>/dev/null) =~ (^|$'\n')rus($'\n'|$) ]]; }

install_tesseract() {
  have_russian || apt_install tesseract-ocr tesseract-ocr-rus || true
  have_russian || say "Tesseract with Russian is missing (Debian: tesseract-ocr, tesseract-ocr-rus), so the embedded" \
    "CPU backend cannot read Cyrillic here; Latin and Chinese text is read all the same"
}

have_browser() { command -v chromedriver >/dev/null && command -v chromium >/dev/null; }

install_browser() {
  have_browser || apt_install chromium chromium-driver || true
  have_browser || say "Chromium and its driver are missing (Debian: chromium, chromium-driver), so the tests of the page" \
    "for people are skipped"
}

have_promtool() { [ -x "$venv/bin/promtool" ] || command -v promtool >/dev/null; }

# Of Debian's package the one program: installed, the package would start a Prometheus.
install_promtool() {
  local folder
  have_promtool && return
  folder=$(mktemp -d)
  (cd "$folder" && { apt-get -qq download prometheus ||
    { { apt-get -qq update || sudo -n apt-get -qq update; } && apt-get -qq download prometheus; }; } &&
    dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xO ./usr/bin/promtool >promtool && chmod +x promtool &&
    mv promtool "$venv/bin/") >/dev/null 2>&1 ||
    say "promtool is missing and cannot be had from Debian's prometheus, so the unit tests of the alerts are skipped"
  rm -rf "$folder"
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      python=$candidate
      return
    fi
  done
  return 1
}

make_venv() {
  "$venv/bin/python" -c '' 2>/dev/null && return
  find_python || { apt_install python3 python3-venv && find_python; } || {
    say "a Python of 3.11 or newer with its venv module is needed; PYTHON names one"
    exit 1
  }
  say "making $venv with $("$python" --version)"
  "$python" -m venv --clear "$venv"
}

install_python_packages() {
  local sum extras installed='' pip=("$venv/bin/pip" install --quiet --constraint "$root/constraints.txt")
  sum=$(cat "$root/pyproject.toml" "$root/constraints.txt" "${BASH_SOURCE[0]}" | sha256sum)
  if [ -e "$stamp" ]; then installed=$(tail -n 1 "$stamp"); fi
  extras=$(printf '%s\n' "${installed// /$'\n'}" "$@" | sort -u | xargs)
  if [ -e "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$sum" ] && [ "$extras" = "$installed" ]; then return; fi
  rm -f "$stamp"
  say "installing the project with: ${extras:-no extras}"
  "${pip[@]}" --editable "$root${extras:+[${extras// /,}]}"
  # rapid-layout asks for opencv-python, rapidocr for the headless one, PaddleX for the contrib one, and all unpack into
  # one cv2/. The headless contrib build holds what all three need, so it comes last; it wants no libGL.
  case " $extras " in *" cpu "*) "${pip[@]}" --no-deps rapid-layout ;; esac
  case " $extras " in *" paddlex "*) "${pip[@]}" --no-deps --force-reinstall opencv-contrib-python-headless ;; esac
  printf '%s\n%s\n' "$sum" "$extras" >"$stamp"
}

make_venv
install_python_packages "$@"
case " $* " in *" cpu "*) install_tesseract ;; esac
case " $* " in *" dev "*) install_browser; install_promtool ;; esac
