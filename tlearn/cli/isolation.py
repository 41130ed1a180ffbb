"""Put back what a command changes in the process, so that a notebook goes on as before. Nothing heavy is imported."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tlearn.base.errors import TlearnError
from tlearn.base.progress import closing_what_is_left

_SEED_VARIABLES = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS")  # Lightning's seed_everything sets them
_undo: list[Callable[[], object]] = []  # of the commands that run now, the innermost last


def undo_later(undo: Callable[[], object]) -> None:
    """Register what puts a change back when the command ends.

    Each change registers its own, because most changes need a library that this module must not import.
    """
    _undo.append(undo)


@contextmanager
def isolated() -> Iterator[None]:
    """Run a command, and put back whatever it changed in the process, also after an error.

    That is: warning filters, signal handlers, Lightning's seed variables and its rank in this process, and everything
    that was registered with `undo_later`: log handlers and levels, ``threading.excepthook``, torch's threads,
    jsonargparse's settings, and the random numbers of Python, NumPy and torch on the CPU.
    """
    first, handlers = len(_undo), _signal_handlers()
    seeds, rank = {name: os.environ.get(name) for name in _SEED_VARIABLES}, _lightning_rank()
    with warnings.catch_warnings(), closing_what_is_left():
        try:
            yield
        finally:
            while len(_undo) > first:
                _undo.pop()()
            for number, handler in _signal_handlers().items():
                if handlers[number] not in (None, handler):  # None: a handler that is not Python's
                    signal.signal(number, handlers[number])
            for name, seed in seeds.items():
                os.environ.pop(name, None)
                if seed is not None:
                    os.environ[name] = seed
            if rank is not None:
                _ranked().rank = rank


@contextmanager
def called_from_python() -> Iterator[None]:
    """Run a command for a Python function: `isolated`, and an exit of the command line is an exception.

    Raises:
        TlearnError: A fault that the user can mend; the command line would print help or a config.
        KeyboardInterrupt: Lightning ends the interpreter after Ctrl-C; a notebook must go on.
        SystemExit: A signal, such as SIGTERM, asked the process to end; the run is saved first.
    """
    with isolated():
        try:
            yield
        except SystemExit as end:
            if isinstance(end.__context__, KeyboardInterrupt):
                interrupt = KeyboardInterrupt()
                for note in getattr(end.__context__, "__notes__", ()):
                    interrupt.add_note(note)  # how to go on
                raise interrupt from end
            if not end.code:  # --help, --print_config
                raise TlearnError("options that print something and end are for the command line; drop them") from end
            raise
        except ModuleNotFoundError as error:
            if missing := known_fault(error):
                raise TlearnError(missing) from error
            raise


def known_fault(error: Exception) -> str | None:
    """Return a fault that the user can mend, in one line; ``None`` for any other."""
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("tlearn"):
        where = f"is not installed for {sys.executable}; activate the environment that tlearn was installed into"
        return f"{error.name} {where} (source .venv/bin/activate), or: pip install ."
    return str(error) if isinstance(error, TlearnError) else None


def _ranked() -> Any:
    """Return the function to which Lightning, once it is imported, ties the rank of this process."""
    return getattr(sys.modules.get("lightning_utilities.core.rank_zero"), "rank_zero_only", None)


def _lightning_rank() -> int | None:
    """Return the rank that Lightning takes this process for: of any other than 0 it logs nothing."""
    rank: int | None = getattr(_ranked(), "rank", None)
    return rank


def _signal_handlers() -> dict[int, Any]:
    """Return the handler of each signal; none outside the main thread, which alone may set them."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.getsignal(number) for number in signal.valid_signals()}
