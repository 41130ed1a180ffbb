"""Whether one network can learn what an average of two answers."""
