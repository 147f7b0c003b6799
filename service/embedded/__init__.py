"""Real Postgres and real Valkey from wheels, started and watched by us."""
