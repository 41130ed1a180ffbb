"""LightningCLI's hooks: the parser, and how data, model and trainer are made of a parsed config.

LightningCLI's protected names are used in this file only; ``tests/cli/test_lightning_internals.py`` holds them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import ExitStack
from copy import deepcopy
from typing import Any, Literal, TypeVar

from jsonargparse import ActionYesNo
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from tlearn.base.errors import TlearnError, one_line
from tlearn.base.machine import limit_threads
from tlearn.base.places import DEFAULT_ROOT
from tlearn.cli.arguments import Arguments
from tlearn.cli.callbacks import FitRun, check_order, evaluation_callbacks, fit_callbacks
from tlearn.cli.defaults import (
    TRAINER_DEFAULTS,
    RunData,
    plain_config,
    settle_folder,
    settle_logger,
    settle_machine,
    settle_pictures,
)
from tlearn.cli.ensembles.settle import put_ensemble, settle_ensemble
from tlearn.cli.ensembles.teacher import say_teacher, settle_teacher
from tlearn.cli.ensembles.without_steps import settle_without_steps
from tlearn.cli.faults import TransferParser, translated_faults
from tlearn.cli.option_faults import check_scheduler_name
from tlearn.cli.predicting.options import add_prediction_options, callbacks_to_predict, settle_prediction
from tlearn.cli.quiet import quieten
from tlearn.cli.resume import Checkpoint, check_evaluation, check_resume, goes_on, going_on, only_ends, open_checkpoint
from tlearn.cli.targets.run_places import names_place
from tlearn.cli.trainer_checks import (
    check_clipping,
    check_processes,
    check_started_together,
    check_surroundings,
    check_without_validation,
    is_shell_of_slurm,
)
from tlearn.cli.words import words_of
from tlearn.data.shards.datamodule import StreamingDataModule
from tlearn.data.sources.labelled_files import ImageFilesDataModule
from tlearn.reporting.metrics_file import with_metrics_file
from tlearn.training.callbacks.checkpoints import AtomicCheckpointIO
from tlearn.training.callbacks.run_folder import RunRecordCallback, drop_refused_run, make_run_folder
from tlearn.training.callbacks.stopping import StopCallback, end_only
from tlearn.training.ddp import EndTogetherCallback
from tlearn.training.lean_lightning import NoProfiler
from tlearn.training.module import TransferModule
from tlearn.training.typed import callbacks_of

log = logging.getLogger(__name__)

_Kind = TypeVar("_Kind", bound="TransferCLI")
# Help for options that commands/compare/sweep.py parses before this parser runs.
_SWEEP_HELP = (
    "--sweep OPTION=VALUE,VALUE,... (again for another option) fits every combination and compares them; --seeds N "
    "runs each with N seeds; --trials N lets Optuna draw N combinations, also from OPTION=LOWEST..HIGHEST, "
    "and with --storage FILE_OR_URL any number of processes share them; --no-wait leaves to other processes what they "
    "have begun; --out FILE writes all of it as JSON"
)


class TransferCLI(LightningCLI):
    """LightningCLI with one model, any ``ImageDataModule``, and a checkpoint that answers for what is not typed.

    Args:
        arguments: The command line in parts.
        checkpoint: The checkpoint that ``--ckpt_path`` names, already read.
    """

    chooses = False  # a verb that chooses on validation images has it True
    runs = True  # a verb that runs nothing once all is made has it False

    def __init__(self, arguments: Arguments, checkpoint: Checkpoint | None) -> None:
        self.verb = arguments.verb or "fit"
        run = checkpoint.run_folder if checkpoint else None
        self.run_name = arguments.run_name if arguments.configs or run is None else run.parent.name
        self.command = arguments.as_typed
        self.typed = [name for name, value in arguments.pairs() if value != "1" or name != "--trainer.max_epochs"]
        self.checkpoint = checkpoint
        stays = (self.verb != "fit" or goes_on(checkpoint)) and not names_place(arguments)
        self.run_folder = run if stays else None
        self.run_data = RunData(arguments.data, checkpoint, self.verb == "predict" or type(self) is not TransferCLI)
        super().__init__(
            TransferModule,
            LightningDataModule,
            subclass_mode_data=True,
            save_config_callback=None,  # RunRecordCallback does it, into the run folder, also on a resume
            trainer_defaults=TRAINER_DEFAULTS,
            seed_everything_default=0,
            parser_class=TransferParser,
            auto_configure_optimizers=False,
            args=[self.verb, *words_of(arguments, checkpoint)],
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # static in Lightning, called on self
        """Build the parser of the verb at hand only: each costs a tenth of a second."""
        return {self.verb: super().subcommands()[self.verb] | {"verbose"}}  # Lightning's own table is never printed

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Give the model what the data know, once both are made."""
        self.run_data.link(parser)
        parser.add_argument(
            "--find_lr",
            action=ActionYesNo,
            default=False,
            help="find the learning rate by a range test before the first step, keeping the ratios between groups",
        )
        parser.add_argument(
            "--resume",
            type=Literal["auto"] | None,
            help="auto: fit goes on from the newest run of this name that is not finished; without one it begins anew",
        )
        parser.add_argument("--advice", type=dict[str, Any] | None, help="what advise expects; advised.yaml has it")
        if self.verb == "fit":
            parser.epilog = _SWEEP_HELP
        if self.verb == "predict":
            add_prediction_options(parser)

    @property
    def verb_parser(self) -> LightningArgumentParser:
        """The parser of the verb at hand."""
        return self._parser(self.verb)

    def option(self, name: str) -> Any:
        """Return an option of the verb, once classes are instantiated; ``None`` if the verb has no such option."""
        return self._get(self.config_init, name)

    def run_verb(self) -> None:
        """Run the verb on what was made."""
        super()._run_subcommand(self.verb)

    def _run_subcommand(self, subcommand: str) -> None:
        if self.runs:
            self.run_verb()

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse without Lightning's warning that ``sys.argv`` holds words too: they are the same ones."""
        self.config = parser.parse_args(args)

    def _parse_ckpt_path(self) -> None:
        """Do nothing: in Lightning the checkpoint's options silently beat those that were typed."""

    def before_instantiate_classes(self) -> None:
        """Check the options against the checkpoint, then settle what depends on the machine."""
        config = self.config[self.verb]
        settle_without_steps(config, self.typed if self.verb == "fit" and self.runs else ())
        settle_logger(config, self.run_name)
        ensemble = settle_ensemble(config, self.checkpoint, self.verb if not self.runs else "")
        settle_teacher(config, self.verb, self.checkpoint)
        self.plain = plain_config(self.verb_parser, config)
        put_ensemble(config, ensemble, self.plain)
        self.config_dump = deepcopy(self.plain)  # Lightning would dump it again, for the checkpoint's hyper-parameters
        settle_pictures(config, self.checkpoint)
        if self.checkpoint is not None:
            (check_resume if self.verb == "fit" else check_evaluation)(self.checkpoint, self.plain)
            config.model.weights = None  # they are in the checkpoint
        if self.verb == "predict":
            settle_prediction(config)
        settle_folder(config, self.run_name, self.run_folder, self.verb)
        settle_machine(config, self.verb)

    def before_fit(self) -> None:
        """Look at the images before there is a run folder, which a fault would leave behind empty; then make it."""
        if isinstance(self.datamodule, (ImageFilesDataModule, StreamingDataModule)):
            self.datamodule.setup("fit")
        self.run_data.look(self.model)
        say_teacher(self.model, self.plain)
        self.made_folder = None if goes_on(self.checkpoint) else make_run_folder(self.trainer)

    def fit(self, **options: Any) -> None:
        """Train, and stop between two steps when a signal asks for it."""
        if self.checkpoint is not None and only_ends(self.checkpoint, self.plain):
            end_only(self.trainer)
        with ExitStack() as stack:
            for callback in callbacks_of(self.trainer):
                if isinstance(callback, StopCallback):
                    stack.enter_context(callback.listening())
                elif isinstance(callback, RunRecordCallback):
                    stack.callback(callback.let_go)
            try:
                self.trainer.fit(**options)
            except BaseException:
                drop_refused_run(self.made_folder)
                raise

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Add our own callbacks to those of the user, who cannot lose ours by setting theirs."""
        images, self.datamodule = self.run_data.images_for(self.model), self.run_data.module
        config = {**self.option("trainer"), **kwargs}
        if config["logger"] and self.verb in ("fit", "test"):
            config["logger"] = with_metrics_file(as_list(config["logger"]), config["default_root_dir"] or DEFAULT_ROOT)
        if self.verb == "fit" and not images.validates:
            check_without_validation(self.model, self.chooses, images.without_validation)
            config["limit_val_batches"] = 0
        check_surroundings(os.environ)
        shell = [LightningEnvironment()] if is_shell_of_slurm(os.environ) else []
        config["plugins"] = [*as_list(config.get("plugins")), AtomicCheckpointIO(), *shell]
        config["profiler"] = config.get("profiler") or NoProfiler()
        config["precision"] = config["precision"] or self.model.fastest_precision(str(config["accelerator"]))
        callbacks = self.own_callbacks(config)
        check_clipping(config["gradient_clip_val"])
        try:
            trainer = self._instantiate_trainer(config, callbacks)
        except (ValueError, TypeError) as error:
            raise TlearnError(one_line(error)) from error
        can_divide = type(self) is TransferCLI
        check_started_together(trainer, can_divide)
        if trainer.world_size > 1:
            check_processes(trainer, self.command, can_divide, self.option("find_lr"))
            callbacks_of(trainer).append(EndTogetherCallback())
            check_order(callbacks_of(trainer))
            if self.verb == "fit":
                log.info("%d processes, which divide each batch of %d images", trainer.world_size, images.batch_size)
        return trainer

    def own_callbacks(self, config: dict[str, Any]) -> list[Callback]:
        """Return the callbacks of this verb, which come after the user's."""
        checkpoint = self.checkpoint
        if self.verb == "predict":
            return callbacks_to_predict(config, self.option)
        if self.verb != "fit":
            reached = (checkpoint.epoch, checkpoint.steps) if checkpoint else (0, 0)
            path = checkpoint.path if checkpoint else None
            return evaluation_callbacks(self.verb, config, self.plain, self.command, path, reached)
        continued = checkpoint if goes_on(checkpoint) else None
        return fit_callbacks(
            FitRun(
                trainer=config,
                model=self.model,
                config=self.plain,
                command=self.command,
                finds_rate=self.option("find_lr"),
                resumed=continued.path if continued else None,
                resumed_steps=continued.steps if continued else None,
                requeues=self.option("resume") == "auto",
            )
        )


def run(arguments: Arguments) -> TransferCLI:
    """Run ``fit``, ``validate``, ``test`` or ``predict``, and return its trainer, model and data."""
    quieten()
    return run_as(TransferCLI, going_on(arguments))


def run_as(kind: Callable[[Arguments, Checkpoint | None], _Kind], arguments: Arguments) -> _Kind:
    """Run a verb and return what it made.

    Args:
        kind: Makes the command line: `TransferCLI`, or a verb's own kind of it.
        arguments: The command line in parts.

    Raises:
        TlearnError: Any fault that the user can mend.
    """
    quieten()
    limit_threads()
    check_scheduler_name(arguments)
    with translated_faults(arguments):
        asks = any(word in ("-h", "--help") or word.startswith("--print_config") for word in arguments.options)
        return kind(arguments, None if asks else open_checkpoint(arguments))


def as_list(value: Any) -> list[Any]:
    """Return a list of nothing, of one thing, or of the things given."""
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]
