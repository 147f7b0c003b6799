"""Commands that make the weights; nothing here runs in service or in CI."""
