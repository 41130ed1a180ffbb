"""Label the pictures that teach most, a batch at a time."""
