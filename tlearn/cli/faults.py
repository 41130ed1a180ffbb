"""Turn what libraries raise into the one line a user needs."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import torch
from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser
from torch.distributed import DistError

from tlearn.base.errors import TlearnError, one_line
from tlearn.base.files import known_disk_fault
from tlearn.cli.arguments import Arguments
from tlearn.cli.option_faults import explain
from tlearn.cli.trusted_names import confine_names, read_configs_as_utf8

with suppress(ModuleNotFoundError):  # Windows has none, and no limit to name
    import resource

_PEER_LOST = r"gloo.*(closed by peer|reset by peer|refused|Timed out)|ncclRemoteError|remote process exited"
_BATCH_OF_ONE = "Expected more than 1 value per channel"


class ParserFaultError(Exception):
    """What jsonargparse had to say, before it is put into one line.

    Args:
        message: As it came, often over many lines.
        keys: All keys that would have been right.
    """

    def __init__(self, message: str, keys: Sequence[str]) -> None:
        super().__init__(message)
        self.keys = keys


class TransferParser(LightningArgumentParser):
    """LightningCLI's parser; a fault is raised instead of a page of usage, and a config names no class of strangers.

    An option is typed in full: its beginning alone would pass by whatever looks at the words before the parser does.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        read_configs_as_utf8()
        super().__init__(*args, allow_abbrev=False, **options)

    def parse_args(self, args: Any = None, *further: Any, **options: Any) -> Namespace:  # type: ignore[override]
        """Parse the command line, with the configs that it names."""
        confine_names(args or [])
        parsed: Namespace = super().parse_args(args, *further, **options)
        return parsed

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise what is wrong, with the keys that would have been right.

        Raises:
            ParserFaultError: Always.
        """
        nested = [
            parser for action in self._actions if isinstance(action.choices, dict) for parser in action.choices.values()
        ]
        raise ParserFaultError(
            message, [action.dest for parser in (self, *nested) for action in parser._actions]
        ) from ex


@contextmanager
def translated_faults(arguments: Arguments) -> Iterator[None]:
    """Turn the faults that users meet inside libraries into a `TlearnError` of one line.

    Args:
        arguments: The command line, to name the config or the word that holds the fault.
    """
    try:
        yield
    except ParserFaultError as fault:
        raise TlearnError(explain(str(fault), fault.keys, arguments)) from fault
    except MisconfigurationException as fault:
        if "No supported gpu backend" in str(fault):
            raise TlearnError("no GPU found; --trainer.accelerator auto takes the best device there is") from fault
        raise TlearnError(one_line(fault)) from fault
    except torch.OutOfMemoryError as fault:
        raise TlearnError("the device is out of memory; lower data.init_args.batch_size or model.image_size") from fault
    except (TlearnError, RuntimeError, ValueError, OSError) as fault:
        known = _known_fault(fault)
        if known is None:
            raise
        raise TlearnError(known) from fault


def _known_fault(fault: Exception) -> str | None:
    if full := known_disk_fault(fault):
        return full
    if said := _of_several_processes(fault) or _of_options(fault):
        return said
    if isinstance(fault, TlearnError):  # a worker process sends its traceback along
        sent = re.search(r"Original Traceback[\s\S]*\n[\w.]*TlearnError: (.+)\s*$", str(fault))
        return sent[1] if sent else None
    if isinstance(fault.__cause__, TlearnError):  # jsonargparse wraps what a constructor raises
        return str(fault.__cause__)
    if missing := re.search(r"class_path '([\w.]+)':\s*(?:\w+: )*Requirement '([^']+)' not met", str(fault)):
        return f"{missing[1].rpartition('.')[2]} needs a package that is not installed: pip install '{missing[2]}'"
    if _BATCH_OF_ONE in str(fault):
        return (
            "a training batch of one image this small leaves BatchNorm a single value; give data.init_args.batch_size "
            "2 or more, or a larger model.image_size, or freeze the backbone"
        )
    return _of_open_files(fault)


def _of_open_files(fault: Exception) -> str | None:
    limit: float = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if "resource" in globals() else float("inf")
    files = getattr(fault, "errno", None) == errno.EMFILE or "Too many open files" in str(fault)
    if files or ("DataLoader worker" in str(fault) and limit < 256):
        return (
            f"too many open files: the limit is {limit} (ulimit -n); raise it, or set data.init_args.num_workers to 0"
        )
    return None


def _of_options(fault: Exception) -> str | None:
    """Name the option where Lightning refuses a value only once it is used."""
    if seed := re.search(r"^(-?\d+) is not in bounds, numpy accepts from (\d+) to (\d+)", str(fault)):
        return f"seed_everything: expected a whole number from {seed[2]} to {seed[3]}, got {seed[1]}"
    return None


def _of_several_processes(fault: Exception) -> str | None:
    if re.search(_PEER_LOST, str(fault)):
        return (
            "another process of this run ended, and this one cannot go on alone; if it said nothing, it was killed "
            f"(out of memory?): {one_line(fault, 80)}"
        )
    if isinstance(fault, DistError):
        return f"the processes of this run do not reach each other: {one_line(str(fault).strip().splitlines()[-1])}"
    return (
        one_line(fault)
        if str(fault).startswith(("The strategy `", "You set `devices=", "You set `num_nodes="))
        else None
    )
