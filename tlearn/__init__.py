"""Transfer learning for people with pictures."""
