"""What is computed of every image once and kept: rows of any kind, and the maps at the border of the frozen stages."""
