"""The anatomy network: its architecture and its serving."""
