"""Options of the head's start, the feature cache and the learning rates: frozen groups that check themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch.optim.lr_scheduler import OneCycleLR

from tlearn.base.errors import TlearnError
from tlearn.base.plain_values import whole_number
from tlearn.models.options import NetworkOptions, Options, above_0, flag, one_of

HeadInit = Literal["random", "probe"]
HeadSolver = Literal["sgd", "lbfgs", "ridge"]
FeatureCache = Literal["auto", "off", "refresh"]
Interval = Literal["epoch", "step"]


@dataclass(frozen=True)
class HeadStartOptions(Options):
    """Where head and backbone start, and what of the start is kept; see `tlearn.TransferModule` for each option."""

    head_init: HeadInit = "random"
    head_solver: HeadSolver = "sgd"
    l2_sp: float | None = None
    wise_ft: bool = False

    def check(self) -> None:
        """Check choices and numbers, and that what is mixed was solved."""
        one_of("head_init", self.head_init, get_args(HeadInit))
        above_0("l2_sp", self.l2_sp)
        flag("wise_ft", self.wise_ft)
        one_of("head_solver", self.head_solver, get_args(HeadSolver))
        if self.wise_ft and self.head_init != "probe":
            raise TlearnError("model.wise_ft mixes in the probe's head; set model.head_init to probe")

    @property
    def solves_head(self) -> bool:
        """Tell whether the head is solved before the first step."""
        return self.head_init == "probe" or self.head_solver != "sgd"

    @property
    def keeps_start(self) -> bool:
        """Tell whether the starting weights are needed to the end."""
        return bool(self.l2_sp or self.wise_ft)

    def check_for(self, network: NetworkOptions, trained_by: str | None, has_scheduler: bool) -> None:
        """Check that what is solved is one linear layer, and by a solver the only thing that is to be trained.

        Args:
            network: Its task and head.
            trained_by: The option that lets the backbone train, now or later.
            has_scheduler: ``model.lr_scheduler`` is set.

        Raises:
            TlearnError: It is not so.
        """
        if self.head_init == "probe" and network.task == "multilabel":
            raise TlearnError("model.head_init: probe cannot solve several labels an image yet; set it to random")
        if self.head_init == "probe" and network.head_hidden:
            raise TlearnError("model.head_init: probe solves a linear head; drop model.head_hidden")
        if self.head_solver != "sgd":
            self._check_solver(network, trained_by, has_scheduler)

    def _check_solver(self, network: NetworkOptions, trained_by: str | None, has_scheduler: bool) -> None:
        reasons = [
            (
                trained_by is not None,
                f"the backbone trains ({trained_by}); freeze it (model.freeze_backbone: true), or let "
                "model.head_init: probe solve the head before it does",
            ),
            (not network.has_linear_head, "model.head_hidden and model.head_dropout make more of it; drop them"),
            (self.head_init != "random", "model.head_init: probe does so too; drop one of them"),
            (has_scheduler, "nothing steps and model.lr_scheduler would do nothing; drop it"),
            (network.task == "multilabel", "several labels an image are not solved yet; train it: sgd"),
            (self.head_solver == "lbfgs" and network.task == "regression", "values are solved by ridge"),
        ]
        for holds, reason in reasons:
            if holds:
                raise TlearnError(f"model.head_solver {self.head_solver} solves a linear head, but {reason}")


@dataclass(frozen=True)
class CacheOptions(Options):
    """What is kept of what frozen stages compute; see `tlearn.TransferModule` for each option."""

    feature_cache: FeatureCache = "auto"
    feature_cache_gb: float = 8.0
    cache_views: int = 1

    def check(self) -> None:
        """Check the choice."""
        one_of("feature_cache", self.feature_cache, get_args(FeatureCache))
        above_0("feature_cache_gb", self.feature_cache_gb)
        self._replace("cache_views", whole_number("model.cache_views", self.cache_views, 1))


@dataclass(frozen=True)
class RateOptions(Options):
    """How the learning rates move; see `tlearn.TransferModule` for each option."""

    lr_interval: Interval | None = None
    warmup_steps: int | None = None
    warmup_epochs: int | None = None

    def check(self) -> None:
        """Check the choice, and that there is one warm-up."""
        one_of("lr_interval", self.lr_interval or "epoch", get_args(Interval))  # null: as the scheduler likes it
        given: dict[str, Any] = {"warmup_steps": self.warmup_steps, "warmup_epochs": self.warmup_epochs}
        for option, value in given.items():  # from Python anything may come
            if value is not None and not (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
                raise TlearnError(f"model.{option}: expected a whole number above 0, got {value}")
        if self.warmup_steps and self.warmup_epochs:
            raise TlearnError(
                f"model.warmup_steps {self.warmup_steps} and model.warmup_epochs {self.warmup_epochs} are one warm-up; "
                "give one"
            )

    @property
    def warms_up(self) -> bool:
        """Tell whether the rates rise at the start of the run."""
        return bool(self.warmup_steps or self.warmup_epochs)

    def check_for(self, solver: str, has_scheduler: bool) -> None:
        """Check that the options have something to act on.

        Args:
            solver: ``model.head_solver``.
            has_scheduler: ``model.lr_scheduler`` is set.

        Raises:
            TlearnError: One of them would do nothing.
        """
        if self.lr_interval and not has_scheduler:
            raise TlearnError(
                f"model.lr_interval {self.lr_interval} says when model.lr_scheduler steps, but none is set; drop it"
            )
        if self.warms_up and solver != "sgd":
            raise TlearnError(
                f"model.head_solver {solver} takes no steps, there is nothing to warm up; drop the warm-up"
            )

    def check_scheduler(self, scheduler: object) -> None:
        """Refuse a second warm-up.

        Args:
            scheduler: What ``model.lr_scheduler`` makes.

        Raises:
            TlearnError: It has one of its own.
        """
        if self.warms_up and isinstance(scheduler, OneCycleLR):
            option = "warmup_steps" if self.warmup_steps else "warmup_epochs"
            raise TlearnError(f"OneCycleLR has a warm-up of its own, its option pct_start; drop model.{option}")
