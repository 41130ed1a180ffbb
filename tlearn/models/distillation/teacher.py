"""The teacher of a run: a trained network that answers beside the student, and is no part of it.

Letters: B images, C channels, H and W pixels, K classes, labels or values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError, one_line
from tlearn.base.name_forms import canonical
from tlearn.base.places import find_named
from tlearn.models.about import KEY
from tlearn.models.distillation.loss import calibrated_logits, teacher_loss
from tlearn.models.distillation.options import DistillOptions
from tlearn.models.network import Network, network_in
from tlearn.models.state import fingerprint
from tlearn.models.weights.safe_load import read_checkpoint

STORED = "tlearn_teacher"  # in a student's checkpoint: which teacher it had
_OPTION = "model.distill_from"


def open_teacher(path: Path) -> Network:
    """Rebuild a trained network for its answers alone, without touching the random numbers of the run.

    Raises:
        TlearnError: It cannot be read, or is none of tlearn's.
    """
    content = read_checkpoint(path)
    if KEY not in content or "hyper_parameters" not in content:
        raise TlearnError(f"{_OPTION}: {path} is no checkpoint of tlearn; train one with fit")
    try:
        with torch.random.fork_rng(devices=[]):
            network = network_in(content)
    except TlearnError as error:
        raise TlearnError(f"{_OPTION}: {path}: {one_line(error)}") from error
    except Exception as error:  # what is not tlearn's fails in every way that it differs
        raise TlearnError(
            f"{_OPTION}: {path} does not hold what a checkpoint of tlearn holds: {one_line(error)}"
        ) from error
    network.requires_grad_(False).eval()
    network.compute_fast(None, is_fixed=True, is_copied=False)
    return network


class Distillation:
    """Mixes what a teacher says into a student's loss; without a teacher it leaves the loss as it is.

    It is no module: the teacher is no part of the student, of its parameters or of its checkpoints, and a copy of the
    student has the same teacher.

    Args:
        options: Settled ones, see `DistillOptions.settled_for`.
    """

    def __init__(self, options: DistillOptions) -> None:
        self.options = options
        self._teacher: Network | None = None
        self._hash = ""

    def __bool__(self) -> bool:
        """Tell whether there is a teacher."""
        return self.options.distill_from is not None

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the same one: averages of a student's weights need no second teacher."""
        return self

    def meet(self, student: Network) -> Network:
        """Return the teacher, which is opened the first time, and check that it can teach this network.

        Raises:
            TlearnError: It cannot be read, or answers something else than the student is to learn.
        """
        if self._teacher is None:
            named = self.options.distill_from
            assert named is not None
            path = find_named(_OPTION, named)
            teacher = open_teacher(path)
            _check(teacher, path, student)
            self._teacher, self._hash = teacher, _hash_of(teacher)
        return _on_device_of(student, self._teacher)

    def check_names(self, student: Network) -> None:
        """Check once more, where the student has learned only now what its classes are called.

        Raises:
            TlearnError: The teacher calls them otherwise.
        """
        if self._teacher is not None:
            _check(self._teacher, Path(str(self.options.distill_from)), student)

    def store(self, checkpoint: dict[str, Any]) -> None:
        """Note in a student's checkpoint which teacher it has; the teacher itself stays out of it."""
        if self._hash:
            checkpoint[STORED] = self._hash

    def check_resume(self, checkpoint: Mapping[str, Any]) -> None:
        """Refuse to go on with another teacher than the one before.

        Raises:
            TlearnError: It is another one, or there is one where there was none, or the other way round.
        """
        was = checkpoint.get(STORED, "")
        if was == self._hash:
            return
        if not self:
            raise TlearnError("the checkpoint's run learns from a teacher; a resume needs it: model.distill_from")
        raise TlearnError(
            f"{_OPTION}: {self.options.distill_from} is not the teacher that the run began with"
            + ("; name that one" if was else ": it had none; drop the option")
        )

    def mixed(self, loss: Tensor, student: Network, output: Tensor, images: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar: the labels' and the teacher's, each with its share.

        Args:
            loss: The labels'.
            student: The network that learns.
            output: What it gives (B, K).
            images: uint8 (B, C, H, W), the very images that it saw.
        """
        if not self:
            return loss
        taught = self.taught(student, images)
        part, temperature = self.options.distill_weight or 0.0, self.options.distill_temperature or 1.0
        return (1 - part) * loss + part * teacher_loss(student.task, output, taught, temperature)

    @torch.no_grad()
    def taught(self, student: Network, images: Tensor) -> Tensor:
        """Return what the teacher says of images, as `teacher_loss` takes it.

        Raises:
            TlearnError: They are no images.
        """
        if images.ndim != 4 or images.is_floating_point():
            raise TlearnError(f"{_OPTION}: the teacher sees images alone, and the batch has none")
        teacher = self.meet(student)
        output = teacher(images)
        if student.task == "regression":
            return student.unit.standardised(teacher.unit.restored(output))
        return calibrated_logits(student.task, output, teacher.calibration)


def _on_device_of(student: Network, teacher: Network) -> Network:
    device = student.preprocess.mean.device
    if teacher.preprocess.mean.device != device:
        teacher.compute_plainly()  # its fast copies stay where they were made
        teacher.to(device).compute_fast(None, is_fixed=True, is_copied=False)
    return teacher


def _hash_of(network: Network) -> str:
    parts = [*(fingerprint(tensor) for tensor in network.state_dict().values()), str(network.calibration)]
    return hashlib.sha256(" ".join([*parts, str(network.unit)]).encode()).hexdigest()[:32]


def _check(teacher: Network, path: Path, student: Network) -> None:
    """Refuse a teacher that answers something else than the student is to learn, or sees other channels."""
    if teacher.task != student.task:
        raise TlearnError(f"{_OPTION}: {path} is for {teacher.task}, this network for {student.task}")
    theirs, own = teacher.options.in_channels, student.options.in_channels
    if theirs != own:
        raise TlearnError(f"{_OPTION}: {path} sees pictures of {theirs} channels, this network of {own}")
    names = [[canonical(name) for name in each.class_names] for each in (teacher, student)]
    is_unnamed = student.options.class_names is None and student.class_names == student.options.names
    if teacher.num_outputs != student.num_outputs or (names[0] != names[1] and not is_unnamed):
        order = " in another order" if sorted(names[0]) == sorted(names[1]) else ""
        raise TlearnError(
            f"{_OPTION}: {path} knows {_list(teacher)}, this network learns {_list(student)}{order}; take a teacher of "
            "the same classes"
        )


def _list(network: Network) -> str:
    return f"{network.num_outputs} ({', '.join(network.class_names)})" if network.class_names else "1 value"
