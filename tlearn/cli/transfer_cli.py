"""Where data, model and trainer are tied together: the LightningCLI behind fit, validate, test and predict."""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from jsonargparse import ActionYesNo, Namespace
from jsonargparse.typing import PositiveInt
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.strategies import DDPStrategy

from tlearn.base.errors import TlearnError, one_line
from tlearn.base.machine import best_precision, limit_threads
from tlearn.base.places import DEFAULT_ROOT, version_of
from tlearn.cli.arguments import Arguments
from tlearn.cli.callbacks import FitRun, check_order, evaluation_callbacks, fit_callbacks, prediction_callbacks
from tlearn.cli.defaults import settle_pictures
from tlearn.cli.faults import TransferParser, translated_faults
from tlearn.cli.launched import check_launch, check_surroundings, is_shell_of_slurm, launch_of
from tlearn.cli.option_faults import check_scheduler_name
from tlearn.cli.quiet import quieten
from tlearn.cli.resume import (
    Checkpoint,
    check_evaluation,
    check_resume,
    defaults_from,
    going_on,
    only_ends,
    open_checkpoint,
    overridden_model_options,
)
from tlearn.data.datamodule import ImageDataModule
from tlearn.data.shards.datamodule import StreamingDataModule
from tlearn.data.sources.labelled_files import ImageFilesDataModule
from tlearn.deploy.prediction_table import check_output
from tlearn.deploy.prediction_writer import TOP_K
from tlearn.reporting.metrics_file import with_metrics_file
from tlearn.training.callbacks.checkpoints import AtomicCheckpointIO
from tlearn.training.callbacks.run_folder import RunRecordCallback, drop_refused_run, make_run_folder
from tlearn.training.callbacks.stopping import StopCallback, end_only
from tlearn.training.ddp import EndTogetherCallback
from tlearn.training.lean_lightning import NoProfiler
from tlearn.training.module import TransferModule
from tlearn.training.typed import callbacks_of

log = logging.getLogger(__name__)

# The tutorial's number of epochs. Its loss every 10 batches is a curve in TensorBoard. Our own summary and samplers
# replace Lightning's. One device unless more are asked for: a second may be another's.
TRAINER_DEFAULTS = {
    "max_epochs": 20,
    "log_every_n_steps": 10,
    "enable_model_summary": False,
    "use_distributed_sampler": False,
    "devices": 1,
}
# Options that say where a run lies; typed, they are obeyed, else a run goes on where its checkpoint lies.
_PLACES = ("save_dir", "name", "version", "init_args.save_dir", "init_args.name", "init_args.version")
_Kind = TypeVar("_Kind", bound="TransferCLI")
LOGGER = "lightning.pytorch.loggers.TensorBoardLogger"
# Words of another file's, which never reach this parser.
_SWEEP_HELP = (
    "--sweep OPTION=VALUE,VALUE,... (again for another option) fits every combination and compares them; --seeds N "
    "runs each with N seeds; --trials N lets Optuna draw N combinations, also from OPTION=LOWEST..HIGHEST; --out FILE "
    "writes all of it as JSON"
)


class TransferCLI(LightningCLI):
    """LightningCLI with one model, any ``ImageDataModule``, and a checkpoint that answers for what is not typed.

    Args:
        arguments: The command line in parts.
        checkpoint: What ``--ckpt_path`` names, already read.
        scratch: A folder for the configs that the checkpoint stands for.
    """

    chooses = False  # a verb that chooses on validation images has it True

    def __init__(self, arguments: Arguments, checkpoint: Checkpoint | None, scratch: Path) -> None:
        self.verb = arguments.verb or "fit"
        run = checkpoint.run_folder if checkpoint else None
        self.run_name = arguments.run_name if arguments.configs or run is None else run.parent.name
        self.command = arguments.as_typed
        self.checkpoint = checkpoint
        self.run_folder = run if self.verb != "fit" or _goes_on(checkpoint) else None
        if any(arguments.value_of(f"--trainer.logger.{option}") for option in _PLACES):
            self.run_folder = None
        super().__init__(
            TransferModule,
            ImageDataModule,
            subclass_mode_data=True,
            save_config_callback=None,  # RunRecordCallback does it, into the run folder, also on a resume
            trainer_defaults=TRAINER_DEFAULTS,
            seed_everything_default=0,
            parser_class=TransferParser,
            auto_configure_optimizers=False,
            args=[self.verb, *_words(arguments, checkpoint, scratch)],
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # static in Lightning, called on self
        """Build the parser of the verb at hand only: each costs a tenth of a second."""
        return {self.verb: super().subcommands()[self.verb]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Give the model what the data know, once both are made."""
        for name in ("num_classes", "class_names", "task"):
            parser.link_arguments(f"data.{name}", f"model.{name}", apply_on="instantiate")
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
        if self.verb == "fit":
            parser.epilog = _SWEEP_HELP
        if self.verb == "predict":
            parser.add_argument("--out", type=Path | None, help="file to write, .csv or .parquet")
            parser.add_argument("--top_k", type=PositiveInt, default=TOP_K, help="classes in a row, the surest first")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse without Lightning's warning that ``sys.argv`` holds words too: they are the same ones."""
        self.config = parser.parse_args(args)

    def _parse_ckpt_path(self) -> None:
        """Do nothing: in Lightning the checkpoint's options silently beat those that were typed."""

    def before_instantiate_classes(self) -> None:
        """Check the options against the checkpoint, then settle what depends on the machine."""
        config = self.config[self.verb]
        _settle_logger(config, self.run_name)
        self.plain = plain_config(self._parser(self.verb), config)
        self.config_dump = deepcopy(self.plain)  # Lightning would dump it again, for the checkpoint's hyper-parameters
        settle_pictures(config, self.checkpoint)
        if self.checkpoint is not None:
            (check_resume if self.verb == "fit" else check_evaluation)(self.checkpoint, self.plain)
            config.model.weights = None  # they are in the checkpoint
        if self.verb == "predict":
            config.return_predictions = bool(config.return_predictions)  # rows are streamed to a file
            if config.out is not None:
                check_output(config.out)
        _settle_folder(config, self.run_name, self.run_folder)
        _settle_machine(config)

    def before_fit(self) -> None:
        """Look at picture files before there is a run folder, which a fault would leave behind empty; then make it."""
        if isinstance(self.datamodule, (ImageFilesDataModule, StreamingDataModule)):
            self.datamodule.setup("fit")
        self._made = None if _goes_on(self.checkpoint) else make_run_folder(self.trainer)

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
                drop_refused_run(self._made)
                raise

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Add our own callbacks to those of the user, who cannot lose ours by setting theirs."""
        config = {**self._get(self.config_init, "trainer"), **kwargs}
        if config["logger"] and self.verb in ("fit", "test"):
            config["logger"] = with_metrics_file(as_list(config["logger"]), config["default_root_dir"] or DEFAULT_ROOT)
        if self.verb == "fit" and not self.datamodule.validates:
            self._train_alone(config)
        check_surroundings(os.environ)
        config["plugins"] = [*as_list(config.get("plugins")), AtomicCheckpointIO()]
        if is_shell_of_slurm(os.environ):
            config["plugins"].append(LightningEnvironment())
        config["profiler"] = config.get("profiler") or NoProfiler()
        callbacks = self.own_callbacks(config)
        check_clipping(config["gradient_clip_val"])
        try:
            trainer = self._instantiate_trainer(config, callbacks)
        except (ValueError, TypeError) as error:
            raise TlearnError(one_line(error)) from error
        self._check_launch(trainer)
        if trainer.world_size > 1:
            self._check_processes(trainer)
        return trainer

    def _check_launch(self, trainer: Trainer) -> None:
        cluster = getattr(trainer.strategy, "cluster_environment", None)  # a strategy for one process has none
        joins = cluster and cluster.creates_processes_externally
        processes = trainer.num_devices * trainer.num_nodes  # world_size is what the launcher says
        check_launch(launch_of(os.environ), processes, joins, type(self) is TransferCLI)

    def _train_alone(self, config: dict[str, Any]) -> None:
        """Train where nothing validates, and say what that costs.

        Raises:
            TlearnError: Something is asked for that validation images choose.
        """
        why = "there are no validation images (data.init_args.val_fraction is 0)"
        wants = {
            "the comparison": self.chooses,
            f"model.head_solver {self.model.head_start.head_solver}": self.model.head_start.head_solver != "sgd",
            "model.head_init probe": self.model.head_start.solves_head,
        }
        for what, is_so in wants.items():
            if is_so:
                raise TlearnError(f"{why}, by which {what} chooses; set val_fraction above 0, or drop it")
        config["limit_val_batches"] = 0
        log.warning(
            "nothing validates (data.init_args.val_fraction is 0): no epoch is the best, last.ckpt is the result; no "
            "temperature is fitted, nothing can stop early, and accuracies are those of training images"
        )

    def _check_processes(self, trainer: Trainer) -> None:
        """Refuse what several processes cannot do, and say how they divide the work."""
        strategy: Any = trainer.strategy
        kind = type(strategy)
        if type(self) is not TransferCLI:
            raise TlearnError(
                f"{self.command}: this runs on one device, fit, validate, test and predict on several; set "
                "trainer.devices to 1"
            )
        if kind is not DDPStrategy or strategy._start_method != "popen":
            raise TlearnError(
                f"several devices run as processes that --trainer.strategy ddp starts; got {kind.__name__}"
            )
        if self._get(self.config_init, "find_lr", default=False):
            raise TlearnError(
                "find_lr runs on one device; batch_size counts the images of all devices, so a rate found there holds "
                "here: set model.optimizer.init_args.lr to it"
            )
        callbacks_of(trainer).append(EndTogetherCallback())
        check_order(callbacks_of(trainer))
        if self.verb == "fit":
            size = self.datamodule.batch_size
            log.info("%d processes, which divide each batch of %d images", trainer.world_size, size)

    def own_callbacks(self, config: dict[str, Any]) -> list[Callback]:
        """Return the callbacks of this verb, which come after the user's."""
        checkpoint = self.checkpoint
        if self.verb == "predict":
            out, top_k = (self._get(self.config_init, name) for name in ("out", "top_k"))
            return prediction_callbacks(config, out, top_k)
        if self.verb != "fit":
            reached = (checkpoint.epoch, checkpoint.steps) if checkpoint else (0, 0)
            path = checkpoint.path if checkpoint else None
            return evaluation_callbacks(self.verb, config, self.plain, self.command, path, reached)
        continued = checkpoint if _goes_on(checkpoint) else None
        return fit_callbacks(
            FitRun(
                trainer=config,
                model=self.model,
                config=self.plain,
                command=self.command,
                finds_rate=self._get(self.config_init, "find_lr"),
                resumed=continued.path if continued else None,
                resumed_steps=continued.steps if continued else None,
                requeues=self._get(self.config_init, "resume") == "auto",
            )
        )


def run(arguments: Arguments) -> TransferCLI:
    """Run ``fit``, ``validate``, ``test`` or ``predict``; what it made is returned, trainer and model included."""
    quieten()
    return run_as(TransferCLI, going_on(arguments))


def run_as(kind: Callable[[Arguments, Checkpoint | None, Path], _Kind], arguments: Arguments) -> _Kind:
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
        with tempfile.TemporaryDirectory(prefix="tlearn-") as scratch:
            return kind(arguments, None if asks else open_checkpoint(arguments), Path(scratch))


def plain_config(parser: LightningArgumentParser, config: Namespace) -> dict[str, Any]:
    """Return a parsed config as plain values, complete, without the checkpoint it may have come from."""
    plain: dict[str, Any] = yaml.safe_load(parser.dump(config, skip_none=False))
    plain["ckpt_path"] = None
    plain.pop("resume", None)  # no part of what a run is
    return plain


def _words(arguments: Arguments, checkpoint: Checkpoint | None, scratch: Path) -> list[str]:
    typed = [config.word for config in arguments.configs]
    if checkpoint is None:
        return [*typed, *arguments.options]
    files, rest = arguments.take_several("--data")
    if arguments.verb == "predict" and (len(files) > 1 or any(map(_is_path, files))):
        return _words_for_files(rest, checkpoint, scratch, files)
    before, after = defaults_from(checkpoint, arguments.verb or "fit")
    if any(word.startswith("--trainer.callbacks") for word in arguments.options):
        before.get("trainer", {}).pop("callbacks", None)  # `callbacks+=`, typed once more, would double them
    if after:
        for line in overridden_model_options(checkpoint, arguments.configs):
            log.warning(line)
    first, second = _as_config(before, scratch / "before.yaml"), _as_config(after, scratch / "after.yaml")
    return [*first, *typed, *second, *arguments.without("--ckpt_path"), f"--ckpt_path={checkpoint.path}"]


def _words_for_files(arguments: Arguments, checkpoint: Checkpoint, scratch: Path, files: list[str]) -> list[str]:
    """Predict for files: the network is the checkpoint's, and data of configs, which have labels, are not wanted."""
    before, after = defaults_from(checkpoint, "predict")
    for config in arguments.configs:
        before |= {key: value for key, value in config.content.items() if key in ("seed_everything", "trainer")}
    if not checkpoint.about.get("pictures") and not arguments.value_of("--data.size_px"):
        raise TlearnError(
            f"{checkpoint.path} does not say how pictures were read: it is older than 0.1; train it again, or say it: "
            "--data.size_px N --data.crop_pct 1"
        )
    about = {"stored_classes": checkpoint.class_names, "stored_task": checkpoint.about["task"]}
    # As lines of one text where they can be: jsonargparse takes 9 ms for each item of a list.
    are_lines = all(name.strip() and "\n" not in name for name in files)
    options = {
        "files": "\n".join(files) if are_lines else files,
        **about,
        **(checkpoint.about.get("pictures") or {}),
    }
    before["data"] = {"class_path": "tlearn.data.PredictFilesDataModule", "init_args": options}
    return [*_as_config(before | after, scratch / "files.yaml"), *arguments.options, f"--ckpt_path={checkpoint.path}"]


def _is_path(text: str) -> bool:
    return text == "-" or Path(text).exists() or any(mark in text for mark in "*?[/\\")


def _as_config(options: dict[str, Any], path: Path) -> list[str]:
    # JSON is YAML whose texts are all in quotes: safe_dump leaves 1e5 bare, which jsonargparse reads as a number.
    path.write_text(json.dumps(options), encoding="utf-8")
    return [f"--config={path}"] if options else []


def _goes_on(checkpoint: Checkpoint | None) -> bool:
    """Tell whether a resume continues its run's folder: only from its last epoch, else two histories would mix."""
    return checkpoint is not None and checkpoint.run_folder is not None and checkpoint.path.name == "last.ckpt"


def _settle_logger(config: Namespace, run_name: str) -> None:
    """Put everything of a run into one folder: ``runs/<config name>/version_N`` unless the user says otherwise."""
    trainer = config.trainer
    root = str(trainer.default_root_dir or DEFAULT_ROOT)
    if trainer.logger is None or trainer.logger is True:
        arguments = Namespace(save_dir=root, name=run_name, default_hp_metric=False)
        trainer.logger = Namespace(class_path=LOGGER, init_args=arguments)
    elif trainer.logger:
        trainer.default_root_dir = root  # for loggers that have no folder of their own


def _settle_folder(config: Namespace, run_name: str, run: Path | None) -> None:
    """Go on in the checkpoint's run folder, and without a logger still give every run a folder of its own."""
    trainer = config.trainer
    if trainer.logger is False:
        parent = Path(trainer.default_root_dir or DEFAULT_ROOT, run_name)
        number = max((version_of(path) for path in parent.glob("version_*")), default=-1) + 1
        trainer.default_root_dir = str(run or parent / f"version_{number}")
    elif run is not None and isinstance(trainer.logger, Namespace) and "save_dir" in trainer.logger.init_args:
        place = {"save_dir": str(run.parent.parent), "name": run.parent.name, "version": version_of(run)}
        trainer.logger.init_args.update(Namespace(place))


def _settle_machine(config: Namespace) -> None:
    trainer = config.trainer
    if trainer.enable_progress_bar is None:
        trainer.enable_progress_bar = sys.stdout.isatty()
    if trainer.precision is None:
        trainer.precision = best_precision(str(trainer.accelerator))
        full = trainer.precision == "32-true"
        hint = "" if full else " (--trainer.precision 32-true for full precision)"
        log.info("precision %s, channels last: the fastest on this device%s", trainer.precision, hint)


def check_clipping(value: float | None) -> None:
    """Refuse a bound that gradients cannot be clipped to: Lightning 2.6 clips nothing below 0, and NaN makes them NaN.

    Raises:
        TlearnError: It is below 0, or no number.
    """
    if value is not None and not value >= 0:
        raise TlearnError(f"trainer.gradient_clip_val: expected a number from 0 on, got {value}")


def as_list(value: Any) -> list[Any]:
    """Return a list of nothing, of one thing, or of the things given."""
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]
