"""The two structured reports: the draft in words, and its boxes."""
