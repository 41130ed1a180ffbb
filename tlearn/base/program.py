"""The name by which this program was started, for messages that show a command."""

from __future__ import annotations

import sys
from pathlib import Path

MODULE = "python -m tlearn"


def program() -> str:
    """Return what a user types in front of a verb: ``python -m tlearn`` if that was typed, else ``tlearn``.

    Python puts the path of the package's ``__main__.py`` in front of the words of ``python -m``.
    """
    started = Path(sys.argv[0] if sys.argv else "")
    return MODULE if started.name == "__main__.py" and started.parent.name == "tlearn" else "tlearn"
