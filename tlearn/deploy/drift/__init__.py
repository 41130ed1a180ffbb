"""Whether new pictures are like the training pictures: at the end of ``predict``, and in ``doctor --against``."""
