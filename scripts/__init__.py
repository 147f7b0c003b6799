"""What is run from the Makefile: preparation of a machine, demonstration, measurement."""
