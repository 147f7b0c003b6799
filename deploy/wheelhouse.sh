#!/usr/bin/env bash
# Collect every wheel that a site without internet needs into dist/wheelhouse-SHAPE.tar, for the
# Python and the platform this runs on. Usage: deploy/wheelhouse.sh [embedded|service|worker-cpu|
# worker-gpu]. See docs/offline.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly SHAPE=${1:-embedded}
readonly LOCK=requirements/$SHAPE.txt
readonly HOUSE=build/wheelhouse-$SHAPE

[[ -e $LOCK ]] || {
    echo "error: there is no shape '$SHAPE' (requirements/$SHAPE.txt)" >&2
    exit 2
}
compgen -G 'dist/carina-*.whl' >/dev/null || {
    echo "error: no wheel of Carina in dist/: run 'make wheel' first" >&2
    exit 2
}

rm -rf "$HOUSE"
mkdir -p "$HOUSE"
# Without markers: the target's Python may be an older patch release, which needs a backport more.
sed 's/ ;.*$/ \\/' "$LOCK" >"$HOUSE.txt"
.venv/bin/python -m pip --quiet download --only-binary :all: --require-hashes \
    --dest "$HOUSE" --requirement "$HOUSE.txt"
cp "$LOCK" "$HOUSE/requirements.txt"
cp dist/carina-*.whl LICENSE NOTICE "$HOUSE/"
(cd "$HOUSE" && sha256sum -- * >SHA256SUMS)
tar --create --file "dist/wheelhouse-$SHAPE.tar" --directory build "wheelhouse-$SHAPE"
echo "dist/wheelhouse-$SHAPE.tar: $(find "$HOUSE" -name '*.whl' | wc -l) wheels," \
    "$(du --bytes "dist/wheelhouse-$SHAPE.tar" | cut -f1) bytes"
