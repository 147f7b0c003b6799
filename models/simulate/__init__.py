"""Simulated radiographs with exact truth; the CT behind them is needed for training only."""
