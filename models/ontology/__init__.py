"""What may be where: sides, zones, groups and the places of findings, as plain tables."""
