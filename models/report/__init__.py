"""From a sight to findings in four states, and from findings to sentences."""
