"""Fixtures that every test may name."""

pytest_plugins = ["postgres"]
