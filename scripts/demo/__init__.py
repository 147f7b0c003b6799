"""``make demo``: seven films through the whole system, and the proof read back from the archive."""
