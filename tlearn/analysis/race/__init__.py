"""The race of a fit with a budget: what its members train, who goes on, and what it ends with. Pure functions."""
