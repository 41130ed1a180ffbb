"""The verb `soup`: average runs of one network, and keep what validation cannot tell from the best."""
