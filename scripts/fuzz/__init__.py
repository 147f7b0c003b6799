"""Mutated inputs against everything that reads what strangers send."""
