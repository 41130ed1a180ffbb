"""Which pictures to label next, from features of a network that does not train."""
