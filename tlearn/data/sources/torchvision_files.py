"""Open torchvision's datasets; fetch what is missing, and say in one line what could not be had."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from tlearn.base.errors import TlearnError
from tlearn.data.datamodule import Split
from tlearn.data.files.network_timeout import short_timeout
from tlearn.data.sources.torchvision_catalogue import check_options, class_of, parameters_of, reason, splits_of


class TorchvisionSource:
    """One of torchvision's datasets, nothing of it opened yet.

    Attributes:
        name: Its class.
        root: The folder for its files.
        options: Arguments that choose a version of it.
        splits: For each split there is, the argument that asks for it.
    """

    def __init__(self, name: str, root: Path, download: bool, options: dict[str, Any]) -> None:
        """Look at the class, not at the files.

        Raises:
            TlearnError: It is unknown, or not of pictures with one class each, or an option is not its own.
        """
        self.name, self.root, self.download, self.options = name, root, download, options
        self._kind = class_of(name)
        self.splits = splits_of(self._kind)
        check_options(self._kind, options, self.splits)

    def open(self, split: Split) -> Any:
        """Open a split; what is not there is fetched, if that is allowed.

        Raises:
            TlearnError: It cannot be had; says what, and where files would go.
        """
        arguments = {"root": str(self.root), **self.options, **self.splits[split]}
        fetches = "download" in parameters_of(self._kind)
        try:  # without the network first: some fetch, or refuse to, though all is there
            return self._kind(**arguments, **({"download": False} if fetches else {}))
        except (ValueError, TypeError, ImportError) as fault:  # a download would mend none of them
            raise TlearnError(f"torchvision's {self.name} in {self.root}: {reason(fault)}") from fault
        except Exception as fault:  # another library's code reads another's files
            if not fetches or not self.download:
                way = "set data.init_args.download true or " if fetches else ""
                raise TlearnError(f"{self._missing(split)} ({reason(fault)}); {way}put its files there") from fault
        try:
            with short_timeout():
                return self._kind(**arguments, download=True)
        except Exception as fault:
            raise TlearnError(
                f"{self._missing(split)} and cannot be fetched ({_address(fault)}{reason(fault)}); try again, or put "
                "its files there"
            ) from fault

    def _missing(self, split: str) -> str:
        return f"torchvision's {self.name} ({split}) is not in {self.root}"


def _address(fault: Exception) -> str:
    """Say which file torchvision was about to fetch, and where to: its own message mostly does not."""
    calls = [frame.f_locals for frame, _ in traceback.walk_tb(fault.__traceback__)]
    return next((f"{call['url']} -> {call['fpath']}: " for call in calls if {"url", "fpath"} <= set(call)), "")
