"""The state of a network: its hash, its train and eval modes, and whether all of it is finite."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tlearn.base.errors import TlearnError


def fingerprint(tensor: Tensor) -> str:
    """Hash a tensor's bits to 32 hexadecimal digits (SHA-256, which processors have instructions for)."""
    flat = tensor.detach().cpu().contiguous().flatten()  # a scalar has no bytes to view, a vector has
    return hashlib.sha256(flat.view(torch.uint8).numpy().data).hexdigest()[:32]


@contextmanager
def keeping_modes(module: nn.Module) -> Iterator[None]:
    """Put every part of a module back into its own mode, training or eval, afterwards."""
    modes = {part: part.training for part in module.modules()}
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module in eval mode without gradients; every part of it is in its own mode again afterwards."""
    with keeping_modes(module), torch.no_grad():
        module.eval()
        yield


def rates_text(rates: Mapping[str, float]) -> str:
    """Write the learning rate of each group, by name where there are several."""
    if len(rates) == 1:
        return f"{next(iter(rates.values())):g}"
    return ", ".join(f"{rate:g} ({name})" for name, rate in rates.items()) or "of no optimizer"


def how_to_lower(groups: Iterable[Mapping[str, Any]], scheduler: Mapping[str, Any]) -> str:
    """Say what helps against losses and weights that are no numbers.

    Args:
        groups: The optimizer's.
        scheduler: The state of its scheduler, which may set the rates itself: OneCycleLR and CyclicLR do.
    """
    cycles = "max_lrs" in scheduler or any("max_lr" in group for group in groups)
    return (
        f"lower it (--model.{'lr_scheduler.max_lr' if cycles else 'optimizer.lr'}), clip gradients "
        "(--trainer.gradient_clip_val 1), or compute more exactly (--trainer.precision 32-true)"
    )


def not_finite(state: Mapping[str, Any]) -> str | None:
    """Name the first tensor that holds a NaN or an infinity; ``None`` where there is none.

    Sums are asked, a tenth of the time of asking every number; only where one of them is no number, each is looked at.
    """
    floats = {name: x for name, x in state.items() if isinstance(x, Tensor) and x.is_floating_point() and x.numel()}
    sums = [x.sum(dtype=torch.float32) for x in floats.values()]
    if not sums or torch.stack([each.to(sums[0].device) for each in sums]).isfinite().all():
        return None
    return next((name for name, x in floats.items() if not x.isfinite().all()), None)


def check_weights(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Refuse to write weights that are no numbers.

    Args:
        checkpoint: What is to be written.
        path: Where to.

    Raises:
        TlearnError: They are not; epoch, step and rates are named.
    """
    name = not_finite(checkpoint.get("state_dict", {}))
    if name is None:
        return
    groups = [group for state in checkpoint.get("optimizer_states", ()) for group in state["param_groups"]]
    held = {str(group.get("name", number)): float(group["lr"]) for number, group in enumerate(groups)}
    rates = checkpoint.get("tlearn", {}).get("rates") or held
    scheduler: Mapping[str, Any] = next(iter(checkpoint.get("lr_schedulers", ())), {})
    raise TlearnError(
        f"{name} is no longer finite in epoch {checkpoint['epoch'] + 1}, step {checkpoint['global_step']}, learning "
        f"rate {rates_text(rates)}, and {path.absolute()} is not written; {how_to_lower(groups, scheduler)}"
    )


def check_network(state: Mapping[str, Any], source: str) -> None:
    """Refuse to judge a network whose weights are no numbers.

    Args:
        state: Its state dict.
        source: Where it comes from, to be named.

    Raises:
        TlearnError: A tensor is not; it is named.
    """
    if name := not_finite(state):
        raise TlearnError(f"{source}: {name} is not finite (NaN or infinite); take another checkpoint")


def check_loss(loss: float, source: str) -> None:
    """Refuse a judgement that is no number, though the weights are.

    Args:
        loss: Mean over the images.
        source: Where the network comes from, to be named.

    Raises:
        TlearnError: It is not.
    """
    if not math.isfinite(loss):
        raise TlearnError(
            f"the loss of {source} is {loss}: it answers what is no number for some image in this precision, or "
            "nothing is known of any; try --trainer.precision 32-true"
        )


def check_answers(answers: Tensor, source: str) -> None:
    """Refuse answers that are no numbers.

    Args:
        answers: Probabilities (B, K), or values (B, K).
        source: Where the network comes from, to be named.

    Raises:
        TlearnError: Some are not.
    """
    bad = int((~answers.isfinite()).flatten(1).any(dim=1).sum())
    if bad:
        raise TlearnError(
            f"{source} answers what is no number (NaN or infinite) for {bad} of {len(answers)} images; its weights or "
            "this precision are at fault: try --trainer.precision 32-true, or another checkpoint"
        )
