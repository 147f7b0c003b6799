#!/usr/bin/env bash
# Prepare a fresh Debian or Ubuntu for Carina: `venv`, `system` and `torch` are the three steps.
# Each looks first and does nothing when nothing is missing, so every make target may call it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly VENV=.venv
readonly LOCK=requirements/dev.txt
TORCH=$(grep "^torch==" requirements/torch.in)
readonly TORCH
readonly OLDEST=3.11
readonly ORTHANC_PLUGIN=/usr/share/orthanc/plugins/libOrthancDicomWeb.so

say() { printf '==> %s\n' "$*" >&2; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [[ $(id -u) -eq 0 ]]; then
        "$@"
    elif has sudo; then
        sudo "$@"
    else
        fail "neither root nor sudo: ask an administrator to run: $*"
    fi
}

# A package must not start a system service of its own beside ours: Debian asks policy-rc.d.
apt_install() {
    has apt-get || fail "no apt-get here; please install by hand: $*"
    say "installing by apt: $*"
    local policy=/usr/sbin/policy-rc.d mine=
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        mine=yes
    fi
    local status=0
    as_root apt-get -qq update || status=$?
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install --yes --no-install-recommends "$@" >/dev/null || status=$?
    if [[ -n $mine ]]; then as_root rm -f "$policy"; fi
    return "$status"
}

is_python() { "$1" -c "import sys; sys.exit(sys.version_info < (${OLDEST/./, }))" 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
        if has "$candidate" && is_python "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python $OLDEST or newer found; set PYTHON=/path/to/python"
}

# Debian splits venv and ensurepip from python3.
make_venv() {
    local python
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        apt_install "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    fi
    say "creating $VENV with $("$python" --version)"
    "$python" -m venv "$VENV"
}

pip() { "$VENV/bin/python" -m pip --quiet --disable-pip-version-check --no-input "$@"; }

venv() {
    mkdir -p build
    exec 9>build/.bootstrap.lock # two makes at once: the second waits
    flock 9
    "$VENV/bin/python" -c '' 2>/dev/null || make_venv
    local stamp=$VENV/.carina-requirements wanted
    wanted=$(cat "$LOCK" pyproject.toml | sha256sum)
    [[ -e $stamp && $(<"$stamp") == "$wanted" ]] && return
    say "installing the locked requirements (a minute or two the first time)"
    pip install --require-hashes -r "$LOCK"
    pip install --no-deps --no-build-isolation --editable .
    printf '%s\n' "$wanted" >"$stamp"
}

system() {
    local missing=()
    [[ -x /usr/sbin/Orthanc ]] || has Orthanc || missing+=(orthanc)
    [[ -e $ORTHANC_PLUGIN ]] || missing+=(orthanc-dicomweb)
    has storescu || missing+=(dcmtk)
    [[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]] || missing+=(rabbitmq-server)
    has strace || missing+=(strace)
    has chromium || has chromium-browser || has google-chrome || missing+=(chromium)
    has node || missing+=(nodejs)
    has npm || missing+=(npm)
    [[ ${#missing[@]} -eq 0 ]] && return
    apt_install "${missing[@]}"
    # On a machine with systemd the packaged servers would come up at the next boot, on their ports.
    local unit
    for unit in orthanc rabbitmq-server; do
        if [[ " ${missing[*]} " == *" $unit "* && -d /run/systemd/system ]]; then
            as_root systemctl disable --quiet "$unit" || true
        fi
    done
}

# torch is not in the lock: for x86-64 the public index holds a CUDA build of several GB, and only
# training and its tests need it. The CPU build is taken where the configured index offers one.
torch() {
    "$VENV/bin/python" -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("torch"))' && return
    if [[ ${CARINA_TORCH:-auto} == auto ]] && ! offers_cpu_build; then
        say "torch: no CPU build of $TORCH offered here; the checks of the training code are skipped" \
            "(CARINA_TORCH=1 installs what there is)"
        return
    fi
    [[ ${CARINA_TORCH:-auto} == 0 ]] && return
    say "installing $TORCH"
    pip install "$TORCH"
}

offers_cpu_build() {
    pip install --dry-run --no-deps --ignore-installed --report - "$TORCH" 2>/dev/null |
        grep --quiet '"version": "[0-9.]*+cpu"'
}

case ${1:-} in
venv | system | torch) "$1" ;;
*) fail "usage: $0 venv|system|torch" ;;
esac
