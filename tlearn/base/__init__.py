"""Agreements that every other room relies on: errors, types, files, names. Nothing here knows Lightning."""
