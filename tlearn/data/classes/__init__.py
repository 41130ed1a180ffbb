"""Names of classes: which spellings are one class, and classes with few images."""
