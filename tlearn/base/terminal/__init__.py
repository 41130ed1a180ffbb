"""What is particular about a terminal as the place of output."""
