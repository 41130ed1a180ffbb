"""``fit --budget``: solve the head, race trained members for the time there is, and end with the best of it."""
