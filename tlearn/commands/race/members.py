"""The members of a race: runs that are paused, gone on with, or taken as they were left. N images, K outputs."""

from __future__ import annotations

import gc
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from tlearn.analysis.race.schedule import Standing
from tlearn.base.errors import DivergedError, TlearnError
from tlearn.base.files import whole_file, write_whole
from tlearn.cli.callbacks import check_order
from tlearn.cli.faults import translated_faults
from tlearn.commands.race.track import Track
from tlearn.commands.untrained import UntrainedCLI, untrained
from tlearn.models.weights.safe_load import read_checkpoint
from tlearn.reporting.evaluation_figures import EvaluationPagesCallback
from tlearn.reporting.parameters import ParameterSummaryCallback
from tlearn.reporting.pictures import InputPicturesCallback
from tlearn.reporting.projector import ProjectorCallback
from tlearn.reporting.terminal.epochs import EpochLinesCallback
from tlearn.reporting.terminal.outcome import OutcomeCallback
from tlearn.training.callbacks.checkpoints import BestCheckpoint, LastCheckpoint, best_checkpoint
from tlearn.training.callbacks.pausing import PauseCallback, RunPausedError
from tlearn.training.callbacks.stopping import StopCallback
from tlearn.training.module import model_of
from tlearn.training.strategies.features import on_device_of_run, run_over_split
from tlearn.training.typed import callbacks_of

Outcome = Literal["not begun", "under way", "paused", "finished", "left out"]
RECORD, ANSWERS = "member.json", "answers.npz"
# The race says in a line what these would say at length, and nobody looks at pictures of each member.
_QUIET = (
    EpochLinesCallback,
    OutcomeCallback,
    ParameterSummaryCallback,
    EvaluationPagesCallback,
    InputPicturesCallback,
    ProjectorCallback,
)


@dataclass
class Member:
    """One of a race.

    Attributes:
        name: Its name.
        options: Its options of the model.
        planned: Epochs of the whole run.
        folder: Holds its run, ``version_0``, and what the race knows of it.
        identity: See `Track.identity_of`.
        losses: ``val/loss`` behind each epoch that is done.
        epoch_s: Seconds of an epoch; ``None`` before one was measured.
        start_s: Seconds of its last leg that no epoch took.
        seconds: Of all its legs.
        outcome: How far it is.
        why: Why it was left out.
        stages: Those of its network that can be tapped; known of a head that was solved.
    """

    name: str
    options: dict[str, Any]
    planned: int
    folder: Path
    identity: str
    losses: list[float] = field(default_factory=list)
    epoch_s: float | None = None
    start_s: float = 0.0
    seconds: float = 0.0
    outcome: Outcome = "not begun"
    why: str = ""
    stages: list[str] = field(default_factory=list)

    @property
    def run(self) -> Path:
        """The folder of its run."""
        return self.folder / "version_0"

    @property
    def last(self) -> Path:
        """The checkpoint of its last epoch, which is what a race ends with.

        The rates have come down to 0 there. The epoch that few validation images like best is half chance, and was 1.3
        points worse, see docs/strategies.md.
        """
        return self.run / "checkpoints" / "last.ckpt"

    @property
    def ends_at_its_best(self) -> bool:
        """Tell whether the best epoch, which answers in an ordinary run, is the last one."""
        best = read_checkpoint(self.run / "checkpoints" / "best.ckpt")
        return int(best["epoch"]) + 1 >= self.planned

    @property
    def standing(self) -> Standing:
        """How far it is, for the schedule; one that a callback ended early is at its end too."""
        early = self.planned - len(self.losses) if self.outcome == "finished" else 0
        return Standing(self.name, (*self.losses, *self.losses[-1:] * early), self.epoch_s)

    def write(self) -> None:
        """Keep what is known of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in asdict(self).items() if name != "folder"}
        write_whole(self.folder / RECORD, json.dumps(kept))

    def answers(self) -> Answers | None:
        """Return what its last epoch answers; ``None`` before it is finished."""
        try:
            with np.load(self.folder / ANSWERS, allow_pickle=False) as parts:
                outputs, targets = (torch.from_numpy(parts[name]) for name in ("outputs", "targets"))
                return Answers(outputs, targets, float(parts["pass_s"]))
        except (OSError, ValueError, KeyError, EOFError):
            return None


@dataclass(frozen=True, eq=False)
class Answers:
    """What a member's last epoch gives on the validation images.

    Attributes:
        outputs: Logits, or values in the user's unit, float32 (N, K).
        targets: As in `Batch`.
        pass_s: Seconds of the pass.
    """

    outputs: Tensor
    targets: Tensor
    pass_s: float


def member_of(track: Track, name: str, stages: Sequence[str], planned: int) -> Member:
    """Return a member, as an earlier command left it where its options and data are still the same."""
    options, folder = track.options(name, stages), track.folder / name
    member = Member(name, options, planned, folder, track.identity_of(options, planned))
    with suppress(OSError, ValueError, TypeError, KeyError):
        known = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if known["identity"] != member.identity:
            return member
        for key in ("losses", "epoch_s", "start_s", "seconds", "outcome", "why", "stages"):
            setattr(member, key, known[key])
    if member.outcome == "finished" and (member.answers() is None or not member.last.is_file()):
        return Member(name, options, planned, folder, member.identity)
    if member.outcome in ("under way", "paused"):
        if planned == 1:  # a head that is solved cannot be gone on with
            return Member(name, options, planned, folder, member.identity)
        _take_up(member)
    return member


def _take_up(member: Member) -> None:
    """Read from its last checkpoint how far a member is that was paused, stopped or killed."""
    noted: dict[str, Any] = {}
    with suppress(TlearnError, KeyError, OSError):
        noted = read_checkpoint(member.last)["callbacks"][PauseCallback.__qualname__]
    member.losses = list(noted.get("losses", []))
    member.epoch_s = _mean(noted.get("seconds", [])) or member.epoch_s
    member.seconds = max(member.seconds, sum(noted.get("seconds", [])))
    member.outcome = "paused" if member.last.is_file() else "not begun"
    if len(member.losses) >= member.planned:  # killed after its last epoch: its end is written once more
        (member.run / "card.json").unlink(missing_ok=True)


def run_leg(track: Track, member: Member, is_due: Callable[[PauseCallback], bool], again: str) -> UntrainedCLI:
    """Begin a member, or go on with it, until it is due to pause or is finished.

    Args:
        track: What all members share.
        member: Is changed, and kept.
        is_due: See `PauseCallback`.
        again: The command that goes on with the race.

    Returns:
        What ran.

    Raises:
        TlearnError: It cannot be trained.
    """
    gc.collect()  # the run before is in circles
    start_s, before_s = time.perf_counter(), member.seconds
    goes_on = member.outcome == "paused"
    if not goes_on:
        shutil.rmtree(member.folder, ignore_errors=True)
        member.losses, member.epoch_s, member.seconds, before_s = [], None, 0.0, 0.0
    member.outcome = "under way"
    member.write()
    arguments = track.arguments_of(member.options, member.planned, member.last if goes_on else None)
    pause, done = PauseCallback(is_due), len(member.losses)
    try:
        cli = untrained(arguments, change=lambda cli: setattr(cli, "run_name", f"{track.place}/{member.name}"))
        _put(cli.trainer, pause, _AnswersCallback(member.folder / ANSWERS), again)
        with translated_faults(arguments), suppress(RunPausedError):
            cli.train()
        if any(isinstance(each, StopCallback) and each.is_signalled() for each in callbacks_of(cli.trainer)):
            raise KeyboardInterrupt  # the signal came while the run was being paused, and waited for a step
    finally:
        seconds = time.perf_counter() - start_s
        member.losses = pause.losses or member.losses
        member.epoch_s = _mean(pause.seconds[done:]) or member.epoch_s
        member.start_s = max(0.0, seconds - sum(pause.seconds[done:]))
        member.seconds = before_s + seconds
        member.write()
    is_finished = (member.folder / ANSWERS).is_file()
    member.outcome = "finished" if is_finished else "paused"
    member.write()
    return cli


def why_left_out(error: BaseException) -> str | None:
    """Say why a member is left out and the race goes on; ``None`` for an error that ends all."""
    if isinstance(error, DivergedError):
        return str(error)
    causes = (error, error.__cause__)
    if any(isinstance(each, (MemoryError, torch.OutOfMemoryError)) for each in causes):
        return "out of memory; a lower data.init_args.batch_size needs less"
    is_cpu = isinstance(error, RuntimeError) and "not enough memory" in str(error)
    return "out of memory; a lower data.init_args.batch_size needs less" if is_cpu else None


@contextmanager
def quietly(level: int) -> Iterator[None]:
    """Leave out what is logged up to a level: all members would say the same."""
    before = logging.root.manager.disable
    logging.disable(level)
    try:
        yield
    finally:
        logging.disable(before)


def _put(trainer: Trainer, pause: PauseCallback, answers: Callback, again: str) -> None:
    """Let a member pause, answer in the end, and say little; checkpoints stay last."""
    callbacks = callbacks_of(trainer)
    kept = [each for each in callbacks if not isinstance(each, _QUIET)]
    for each in kept:
        if isinstance(each, StopCallback):
            each.again = again
    saving = [each for each in kept if isinstance(each, (BestCheckpoint, LastCheckpoint))]
    others = [each for each in kept if each not in saving]
    callbacks[:] = [*others, pause, answers, *saving]
    check_order(callbacks)


class _AnswersCallback(Callback):
    """Keep what the last epoch answers to the validation images, once the run is finished."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Answer.

        Raises:
            TlearnError: No epoch was validated.
        """
        module, best = model_of(trainer), best_checkpoint(trainer)
        if best is None or not best.best_model_path:
            raise TlearnError("no epoch was validated, and a race compares by that; see check_val_every_n_epoch")
        start_s = time.perf_counter()
        with on_device_of_run(trainer, module):
            outputs, targets = run_over_split(trainer, module, "val", lambda images: module.in_unit(module(images)))
        pass_s = time.perf_counter() - start_s
        with whole_file(self._path) as partial, partial.open("wb") as file:
            np.savez(file, outputs=outputs.numpy(), targets=targets.numpy(), pass_s=np.float64(pass_s))


def _mean(seconds: Sequence[float]) -> float | None:
    return sum(seconds) / len(seconds) if seconds else None
