"""The verbs ``validate`` and ``test``, and `tlearn.validate`, `tlearn.test`: loss and accuracy of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule

from tlearn.base.notebook.html_table import html_table, metric_rows
from tlearn.cli.arguments import Arguments
from tlearn.cli.defaults import with_data
from tlearn.cli.isolation import called_from_python
from tlearn.cli.targets.calls import arguments_of_run
from tlearn.cli.transfer_cli import run as run_verb
from tlearn.training.callbacks.checkpoints import run_folder

_PREFIXES = {"validate": "val/", "test": "test/"}


@dataclass(frozen=True)
class Evaluation:
    """The result of `validate` or `test`.

    Attributes:
        metrics: Metric names such as ``test/acc`` to values.
        checkpoint: The checkpoint that was evaluated.
        folder: The run folder of the checkpoint, where ``test`` writes its report; if the checkpoint lies in none, the
            folder of this evaluation.
    """

    metrics: dict[str, float]
    checkpoint: Path
    folder: Path

    def _repr_html_(self) -> str:
        """Show the result in a notebook."""
        metrics = metric_rows(self.metrics)
        return html_table([*metrics, ("checkpoint", self.checkpoint), ("folder", self.folder)], caption="Evaluation")


def validate(
    config: str | Path | Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    ckpt_path: str | Path | None = None,
    data: LightningDataModule | None = None,
) -> Evaluation:
    """Evaluate a checkpoint on the validation images.

    Args:
        config: A run: its folder, ``runs/my_pictures`` for the newest of them, or a checkpoint file. Or a config, of
            whose newest run the best checkpoint is taken; options that it does not name are the checkpoint's.
        options: Dotted option names to values; they beat the config.
        ckpt_path: Another checkpoint than the best one: ``last`` or ``wise_ft``, a run folder or a file.
        data: A data module, one of tlearn's or any with ``(images, labels)``, in place of the config's.

    Raises:
        TlearnError: There is no such checkpoint, or any other fault that `tlearn.fit` would name.
    """
    return _evaluate("validate", config, options, ckpt_path, data)


def test(
    config: str | Path | Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    ckpt_path: str | Path | None = None,
    data: LightningDataModule | None = None,
) -> Evaluation:
    """Evaluate a checkpoint on the test images, and add the result to the report of its run.

    Args:
        config: A run: its folder, ``runs/my_pictures`` for the newest of them, or a checkpoint file. Or a config, of
            whose newest run the best checkpoint is taken; options that it does not name are the checkpoint's.
        options: Dotted option names to values; they beat the config.
        ckpt_path: Another checkpoint than the best one: ``last`` or ``wise_ft``, a run folder or a file.
        data: A data module, one of tlearn's or any with ``(images, labels)``, in place of the config's.

    Raises:
        TlearnError: There is no such checkpoint, or any other fault that `tlearn.fit` would name.
    """
    return _evaluate("test", config, options, ckpt_path, data)


test.__test__ = False  # type: ignore[attr-defined]  # pytest must not collect it where a test module imports it


def run(arguments: Arguments) -> Evaluation:
    """Evaluate as a command line says."""
    cli = run_verb(arguments)
    assert cli.checkpoint is not None  # only fit starts without one
    prefix, values = _PREFIXES[cli.verb], cli.trainer.callback_metrics
    metrics = {name: float(value) for name, value in values.items() if name.startswith(prefix)}
    return Evaluation(metrics, cli.checkpoint.path, cli.checkpoint.run_folder or run_folder(cli.trainer))


def _evaluate(
    verb: str,
    config: str | Path | Mapping[str, Any] | None,
    options: Mapping[str, Any] | None,
    ckpt_path: str | Path | None,
    data: LightningDataModule | None,
) -> Evaluation:
    with called_from_python():
        return run(with_data(arguments_of_run(verb, config, options, ckpt_path), data))
