"""The history of the tables, run by ``carina db upgrade``."""
