"""Help: one screen for each verb, which loads no torch, and all of it from the parsers."""
