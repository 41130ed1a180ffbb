"""The verb `compare`, and `fit --sweep`, which compares variants of one config."""
