"""Thousands of small films through the whole system: memory, cost, nothing lost, nothing twice."""
