"""The command line: from the words that were typed to a trainer, a model and data."""

from tlearn.cli.entry_point import VERBS, main

__all__ = ["VERBS", "main"]
