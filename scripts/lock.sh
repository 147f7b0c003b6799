#!/usr/bin/env bash
# Write down, with hashes, every version that each installation shape gets. Run it with Python 3.11,
# the floor: what the floor needs is enough for the newer ones.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# No host, link or option of this machine may reach the files.
compile() {
    local output=$1
    shift
    echo "==> $output" >&2
    .venv/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
        --output-file "$output" "$@" pyproject.toml
}

# The development lock is solved first; the others are parts of it and keep its versions.
compile requirements/dev.txt --extra embedded --extra cpu --extra dev "$@"
compile requirements/service.txt --constraint requirements/dev.txt
compile requirements/worker-cpu.txt --extra cpu --constraint requirements/dev.txt
# The CUDA build comes from the public index; a CPU build on this machine's disk must not stand in.
PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS='' \
    compile requirements/worker-gpu.txt --extra gpu --constraint requirements/dev.txt
