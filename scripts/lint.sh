#!/usr/bin/env bash
# Every static check, in the order of how quickly it answers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly BIN=.venv/bin

"$BIN/ruff" format --check .
"$BIN/ruff" check .
"$BIN/codespell"
"$BIN/lint-imports" --no-cache >build/import-contracts.log || {
    cat build/import-contracts.log
    exit 1
}
if "$BIN/python" -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("torch"))'; then
    "$BIN/mypy"
else
    echo "mypy: torch is not installed, so what uses it is type-checked as if it were untyped"
    "$BIN/mypy" --disable-error-code import-not-found --allow-subclassing-any \
        --allow-untyped-decorators --no-warn-unused-ignores --no-warn-return-any
fi
