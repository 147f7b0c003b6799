"""A day of a department, simulated: who waits how long under which order of claiming."""
