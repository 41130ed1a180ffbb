"""Pixels of large pictures, kept so that they are decoded once."""
