"""How quick the local pages are, in a real browser."""
