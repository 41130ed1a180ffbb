"""Reporting that fails says so, and does not take hours of training along."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tlearn.base.errors import one_line

log = logging.getLogger(__name__)


def attempt(what: str, report: Callable[[], object]) -> None:
    """Run what reports, and turn any fault of it into one line of warning.

    Args:
        what: What will be missing.
        report: What draws or writes it.
    """
    try:
        report()
    except Exception as error:
        log.warning("%s is missing: %s: %s", what, type(error).__name__, one_line(error))
