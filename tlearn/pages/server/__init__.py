"""The small server behind every page: who may ask, what goes out with each answer, how it starts and ends."""
