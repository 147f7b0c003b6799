#!/usr/bin/env bash
# Runs once, on an empty data folder: the role that the service works with. It owns no table; what
# it may do is granted by `carina db upgrade`, and audit rows it may only insert and read.
set -euo pipefail
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set password="$CARINA_DATABASE_PASSWORD" <<'SQL'
CREATE ROLE carina LOGIN PASSWORD :'password';
SQL
