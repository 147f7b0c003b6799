#!/usr/bin/env bash
# Write down, with hashes, every version that each installation shape gets: for any Python from 3.11
# on and any platform, from what the public index says, without downloading the packages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# --no-config and no --emit options: no host, link or option of this machine may reach the files.
compile() {
    local output=requirements/$1
    shift
    echo "==> $output" >&2
    .venv/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 \
        --generate-hashes --no-header --output-file "$output" "$@"
}

# The development lock is solved first; the others keep its versions. `make lock ARGS=--upgrade`
# takes the newest of everything.
compile dev.txt --extra embedded --extra cpu --extra traces --extra dev pyproject.toml "$@"
compile service.txt --constraints requirements/dev.txt pyproject.toml "$@"
compile worker-cpu.txt --extra cpu --constraints requirements/dev.txt pyproject.toml "$@"
compile worker-gpu.txt --extra gpu --constraints requirements/dev.txt \
    --constraints requirements/torch.in pyproject.toml "$@"
compile embedded.txt --extra embedded --extra cpu --constraints requirements/dev.txt pyproject.toml "$@"
compile traces.txt --extra traces --constraints requirements/dev.txt pyproject.toml "$@"
compile build.txt --constraints requirements/dev.txt requirements/build.in "$@"
