"""What ``predict`` takes beside the options of every verb: where to write, and what to tell of each answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from jsonargparse.typing import NonNegativeInt, PositiveInt
from lightning.pytorch import Callback
from lightning.pytorch.cli import LightningArgumentParser

from tlearn.cli.callbacks import prediction_callbacks
from tlearn.deploy.prediction_table import check_output
from tlearn.deploy.prediction_writer import TOP_K
from tlearn.deploy.reliability.options import CoverageBy, ReliabilityOptions


def add_prediction_options(parser: LightningArgumentParser) -> None:
    """Add the options to the parser of ``predict``."""
    parser.add_argument("--out", type=Path | None, help="file to write, .csv or .parquet")
    parser.add_argument("--top_k", type=PositiveInt, default=TOP_K, help="classes in a row, the surest first")
    parser.add_argument(
        "--coverage", type=float | None, help="share of pictures whose set of classes holds the true one"
    )
    parser.add_argument("--coverage_by", type=CoverageBy, default="all", help="whom that is promised")
    parser.add_argument("--min_accuracy", type=float | None, help="share of the answers given that are right")
    parser.add_argument("--unknown", type=bool, default=False, help="strangers are unknown")
    parser.add_argument("--nearest", type=NonNegativeInt, default=0, help="training pictures named for each")


def settle_prediction(config: Namespace) -> None:
    """Check the options before anything is read.

    Raises:
        TlearnError: A file that cannot be written, or a value that means nothing.
    """
    config.return_predictions = bool(config.return_predictions)  # rows are streamed to a file
    if config.out is not None:
        check_output(config.out)
    _reliability(config.get).check()


def callbacks_to_predict(trainer: dict[str, Any], option: Callable[[str], Any]) -> list[Callback]:
    """Return the callbacks of ``predict``.

    Args:
        trainer: Its options.
        option: Gives an option of the verb by its name.
    """
    return prediction_callbacks(trainer, option("out"), option("top_k"), _reliability(option))


def _reliability(option: Callable[[str], Any]) -> ReliabilityOptions:
    return ReliabilityOptions(**{each.name: option(each.name) for each in fields(ReliabilityOptions)})
