"""Why the draft says what it says: text and pictures in turn, group by group."""
