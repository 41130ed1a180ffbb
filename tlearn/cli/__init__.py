"""The command line: from the words that were typed to a trainer, a model and data."""

from tlearn.cli.entry_point import main
from tlearn.cli.help.show import VERBS

__all__ = ["VERBS", "main"]
