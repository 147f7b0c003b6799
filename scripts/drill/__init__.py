"""The drill of backup and restore: ``make drill``; see docs/drill.md."""
