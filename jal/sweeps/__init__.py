"""A grid of groups from a config to tidy results, never lost."""
