"""Data modules of the user's own, which serve ``(images, labels)``."""
