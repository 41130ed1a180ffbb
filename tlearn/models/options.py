"""Options of the network, of what trains, and of the loss: frozen groups that check themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar, get_args

from tlearn.base.errors import TlearnError, unknown
from tlearn.base.name_forms import canonical
from tlearn.base.plain_values import plain_values, texts, whole_number
from tlearn.base.types import Task

BatchNorm = Literal["follows", "fixed"]
_Group = TypeVar("_Group", bound="Options")


class Options:
    """Base of a frozen dataclass of options: values become plain ones when it is made, then `check` looks at them."""

    def __post_init__(self) -> None:
        """Make the values plain and check them.

        Raises:
            TlearnError: A value is of no kind that a checkpoint could hold, or not allowed; its option is named.
        """
        names = names_of(type(self))
        for name, value in zip(names, plain_values(**{name: getattr(self, name) for name in names}), strict=True):
            self._replace(name, value)
        self.check()

    def check(self) -> None:
        """Check the plain values; a group overrides it."""

    def _replace(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # frozen for everybody else


def names_of(kind: type[Options]) -> tuple[str, ...]:
    """Return the names of a group's options."""
    return tuple(field.name for field in fields(kind))  # type: ignore[arg-type]  # every group is a dataclass


def options_from(kind: type[_Group], given: Mapping[str, Any]) -> _Group:
    """Make a group of its options among others; what is not given keeps its default.

    Args:
        kind: The group.
        given: Name of an option to its value, as the constructor of a module has them; other names are passed over.
    """
    return kind(**{name: given[name] for name in names_of(kind) if name in given})


@dataclass(frozen=True)
class NetworkOptions(Options):
    """What the network is and where its weights come from; see `tlearn.TransferModule` for each option."""

    num_classes: int
    class_names: list[str] | None = None
    task: Task = "classification"
    backbone: str = "resnet18"
    weights: str | None = None
    image_size: int | None = None
    in_channels: int = 3
    tap: str | list[str] | None = None
    backbone_args: dict[str, Any] | None = None
    pixel_mean: list[float] | None = None
    pixel_std: list[float] | None = None
    head_hidden: list[int] | None = None
    head_dropout: float = 0.0
    ensemble: list[dict[str, Any]] | None = None

    def check(self) -> None:
        """Check the task, the share of dropout, and that there is one name for each class."""
        one_of("task", self.task, get_args(Task))
        share("head_dropout", self.head_dropout)
        self._replace("num_classes", whole_number("num_classes", self.num_classes, 1))
        self._check_kinds()
        if self.class_names is not None:
            self._replace("class_names", texts("class_names", self.class_names))
            if len({canonical(name) for name in self.class_names}) != len(self.class_names):
                raise TlearnError(f"class_names name a class twice ({', '.join(self.class_names)}); give each one name")
        if self.class_names and len(self.class_names) != self.num_classes:
            named = ", ".join(self.class_names)
            raise TlearnError(f"num_classes is {self.num_classes}, class_names are {len(self.class_names)} ({named})")

    def _check_kinds(self) -> None:
        text("backbone", self.backbone)
        for option in ("weights", "tap"):
            if (value := getattr(self, option)) is not None and not (option == "tap" and isinstance(value, list)):
                text(option, value)
        if self.image_size is not None:
            self._replace("image_size", whole_number("model.image_size", self.image_size, 1))
        self._replace("in_channels", whole_number("model.in_channels", self.in_channels, 1))
        of_kind("backbone_args", self.backbone_args, dict, "a mapping of names to values")
        for option in ("pixel_mean", "pixel_std"):
            count = "three" if self.in_channels == 3 else self.in_channels
            of_kind(option, getattr(self, option), list, f"a list of {count} numbers")
        of_kind("ensemble", self.ensemble, list, "a list of runs or checkpoints")
        of_kind("head_hidden", self.head_hidden, list, "a list of widths")
        for width in self.head_hidden or ():
            whole_number("model.head_hidden", width, 1)

    @property
    def names(self) -> list[str]:
        """Return the names of the classes, or of a regression's columns; numbers where classes have none."""
        if self.class_names is not None:
            return list(self.class_names)
        return [] if self.task == "regression" else [str(number) for number in range(self.num_classes)]

    @property
    def num_outputs(self) -> int:
        """Return K, what the head gives: the classes, or the columns of a regression."""
        return max(1, len(self.names)) if self.task == "regression" else self.num_classes

    @property
    def has_linear_head(self) -> bool:
        """Tell whether the head is one linear layer and nothing else."""
        return not self.head_hidden and not self.head_dropout


@dataclass(frozen=True)
class FreezeOptions(Options):
    """What of the network trains, from when on and how fast; see `tlearn.TransferModule` for each option."""

    freeze_backbone: bool = False
    freeze_until: str | None = None
    lr_scales: dict[str, float] | None = None
    rules: dict[str, float | None] | None = None
    unfreeze: dict[str, int] | None = None
    unfreeze_warmup_steps: int = 0
    batch_norm: BatchNorm = "follows"

    def check(self) -> None:
        """Check flags, factors and choices."""
        flag("freeze_backbone", self.freeze_backbone)
        if self.freeze_until is not None:
            text("freeze_until", self.freeze_until)
        for option in ("lr_scales", "rules", "unfreeze"):
            of_kind(option, getattr(self, option), dict, "a mapping of stages to numbers")
        above_0("lr_scales", self.lr_scales)
        above_0("rules", self.rules)
        for epoch in (self.unfreeze or {}).values():
            whole_number("model.unfreeze", epoch, 0)
        steps = whole_number("model.unfreeze_warmup_steps", self.unfreeze_warmup_steps, 0)
        self._replace("unfreeze_warmup_steps", steps)
        one_of("batch_norm", self.batch_norm, get_args(BatchNorm))


@dataclass(frozen=True)
class LossOptions(Options):
    """What training minimises; see `tlearn.TransferModule` for each option."""

    label_smoothing: float = 0.0
    class_weights: Literal["balanced"] | list[float] | None = None

    def check(self) -> None:
        """Check the numbers."""
        share("label_smoothing", self.label_smoothing)
        if self.class_weights != "balanced":
            above_0("class_weights", self.class_weights)

    def check_for(self, network: NetworkOptions) -> None:
        """Check the options against the classes.

        Raises:
            TlearnError: There are no classes, or another number of weights than of classes.
        """
        for option, value in {"label_smoothing": self.label_smoothing, "class_weights": self.class_weights}.items():
            if value and network.task != "classification":
                raise TlearnError(f"model.{option} needs one class an image, the task is {network.task}; unset it")
        if isinstance(self.class_weights, list) and len(self.class_weights) != network.num_classes:
            raise TlearnError(
                f"model.class_weights lists {len(self.class_weights)} weights, the data have {network.num_classes} "
                f"classes ({', '.join(network.names)}); give one for each, or balanced"
            )


def one_of(option: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse what is none of the choices."""
    if value not in choices:
        raise unknown(f"model.{option}", str(value), choices)


def text(option: str, value: object) -> None:
    """Refuse what is no text."""
    if not isinstance(value, str):
        raise TlearnError(f"model.{option}: expected a text, got {value!r}")


def of_kind(option: str, value: object, kind: type, words: str) -> None:
    """Refuse a value of another kind; ``None`` stands for nothing.

    Args:
        option: Its name, for the message.
        value: A plain value.
        kind: What it must be.
        words: The kind in words.
    """
    if value is not None and not isinstance(value, kind):
        raise TlearnError(f"model.{option}: expected {words}, got {value!r}")


def flag(option: str, value: object) -> None:
    """Refuse what is neither true nor false."""
    if not isinstance(value, bool):
        raise TlearnError(f"model.{option}: expected true or false, got {value!r}")


def share(option: str, value: object) -> None:
    """Refuse what is no number from 0 to 1."""
    if not (_is_number(value) and 0 <= value <= 1):  # type: ignore[operator]  # a number
        raise TlearnError(f"model.{option}: expected a number from 0 to 1, got {value}")


def above_0(option: str, value: Any) -> None:
    """Refuse a number, or one in a list or mapping, that is not finite and above 0; ``None`` stands for nothing."""
    if isinstance(value, dict):
        value = [number for number in value.values() if number is not None]
    for number in value if isinstance(value, list) else [] if value is None else [value]:
        if not (_is_number(number) and math.isfinite(number) and number > 0):
            raise TlearnError(f"model.{option}: expected a finite number above 0, got {number}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
