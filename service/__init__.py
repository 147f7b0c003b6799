"""What the hospital runs and remembers; no networks."""
