"""Sets of images: in memory or on disk, split, sampled and augmented."""
