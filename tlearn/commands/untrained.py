"""Make what a command line of `fit` describes without a run: data, network and trainer, for verbs that look at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

from tlearn.analysis.rig import rigged
from tlearn.cli.arguments import Arguments
from tlearn.cli.defaults import make_data, plain_config, settle_pictures
from tlearn.cli.transfer_cli import TransferCLI, run_as
from tlearn.data.datamodule import ImageDataModule
from tlearn.training.callbacks.run_folder import drop_refused_run

Change = Callable[["UntrainedCLI"], None]


class UntrainedCLI(TransferCLI):
    """The parser of `fit`. It makes what is asked for and runs nothing.

    Args:
        makes: The ``data`` alone, without network, weights and trainer, or all of it.
        change: Changes `config` and `run_name` before anything is made.
        parts: The arguments of `TransferCLI`.

    Attributes:
        data: The data module, where it is made alone; else it is `datamodule`.
    """

    chooses = True
    runs = False
    data: ImageDataModule

    def __init__(self, makes: Literal["data", "all"], change: Change | None, *parts: Any) -> None:
        self._makes, self._change = makes, change
        super().__init__(*parts)

    def before_instantiate_classes(self) -> None:
        """Change the options, then settle what depends on others."""
        if self._change is not None:
            self._change(self)
        if self._makes == "all":
            super().before_instantiate_classes()
            return
        config = self.config[self.verb]
        self.plain = plain_config(self.verb_parser, config)
        settle_pictures(config, self.checkpoint)

    def instantiate_classes(self) -> None:
        """Make what was asked for."""
        if self._makes == "all":
            super().instantiate_classes()
        else:
            self.data = make_data(self.config[self.verb].data)

    def train(self) -> None:
        """Run the fit after all."""
        self.run_verb()

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Give the measurements inside a run folder, and data and network as they are when a fit begins.

        Raises:
            TlearnError: Whatever a fit would refuse before its first step; the folder is taken away then.
        """
        self.before_fit()
        try:
            with rigged(self.trainer, self.model, self.datamodule):
                yield
        except BaseException:
            drop_refused_run(self.made_folder)
            raise
        for logger in self.trainer.loggers:
            logger.save()
            logger.finalize("success")

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Give data and network as they are when a fit begins, without a run folder.

        Raises:
            TlearnError: Whatever a fit would refuse before its first step.
        """
        self.run_data.look(self.model)
        with rigged(self.trainer, self.model, self.datamodule):
            yield


def untrained(
    arguments: Arguments, makes: Literal["data", "all"] = "all", change: Change | None = None
) -> UntrainedCLI:
    """Make what a command line describes; see `UntrainedCLI`.

    Raises:
        TlearnError: Any fault of the command line that the user can mend.
    """
    return run_as(partial(UntrainedCLI, makes, change), arguments)
