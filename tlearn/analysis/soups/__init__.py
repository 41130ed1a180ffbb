"""Which networks go into a soup, and what of all of it is kept."""
