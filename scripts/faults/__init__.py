"""The fault campaign: a whole Carina is broken in every way we know, and looked at from outside."""
