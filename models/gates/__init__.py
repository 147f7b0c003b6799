"""When a draft may not say it: each gate a function, all of them in the tables of ``table``."""
