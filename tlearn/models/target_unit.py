"""The unit of a regression's values: the network learns values of mean 0 and deviation 1, and answers in the user's.

Letters: N training images, B images of a batch, K columns of values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tlearn.base.errors import TlearnError
from tlearn.models.ensembles.averaging_head import AveragingHead

_LEAST_STEPS = 1000  # of float32, in a deviation: below, rounding is seen


class TargetUnit(NamedTuple):
    """Mean and standard deviation of the training values, K of each; empty where values stay as they are."""

    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()

    def standardised(self, values: Tensor) -> Tensor:
        """Turn values of the user's unit (B, K) into those that the network learns, float32."""
        if not self.mean:
            return values.float()
        mean, deviation = (values.new_tensor(part, dtype=torch.float32) for part in self)
        return (values.float() - mean) / deviation

    def restored(self, outputs: Tensor) -> Tensor:
        """Turn outputs of the network (B, K) into values of the user's unit, float32."""
        if not self.mean:
            return outputs.float()
        mean, deviation = (outputs.new_tensor(part, dtype=torch.float32) for part in self)
        return outputs.float() * deviation + mean


AS_IT_IS = TargetUnit()


def unit_in(about: Mapping[str, Any]) -> TargetUnit:
    """Read the unit that a checkpoint tells; older ones were trained on values as they are."""
    return TargetUnit(*(tuple(map(float, part)) for part in about.get("unit", AS_IT_IS)))


def unit_of(values: Tensor, columns: Sequence[str]) -> TargetUnit:
    """Measure the training values.

    Args:
        values: (N, K).
        columns: K names, or none where there is a single column.

    Raises:
        TlearnError: A column is constant, or varies by less than float32 can tell beside its size.
    """
    exact = values.double()
    mean, deviation = exact.mean(dim=0), exact.std(dim=0, correction=0)
    for number, name in enumerate(columns or ["the value"]):
        least, most = float(exact[:, number].min()), float(exact[:, number].max())
        if least == most:
            raise TlearnError(
                f"{name} is {least:g} in all {len(exact)} training images: a constant cannot be learned; give it "
                "values that differ, or leave it out"
            )
        step = torch.finfo(torch.float32).eps * max(abs(least), abs(most))
        if float(deviation[number]) < _LEAST_STEPS * step:
            raise TlearnError(
                f"{name} lies from {least:.10g} to {most:.10g}, and float32 tells apart {step:.2g} there: subtract "
                f"{float(mean[number]):.6g} from it in the data"
            )
    return TargetUnit(tuple(mean.tolist()), tuple(deviation.tolist()))


@torch.no_grad()
def change_unit(head: nn.Module, old: TargetUnit, new: TargetUnit) -> None:
    """Change the last layer of a head so that it answers the same values in another unit.

    Args:
        head: Its last linear layer gives K outputs; of several heads that are averaged each does.
        old: The unit that it was trained in.
        new: The unit that it is to answer in.
    """
    if old == new:
        return
    if isinstance(head, AveragingHead):
        for each in head.heads:
            change_unit(each, old, new)
        return
    last = [part for part in head.modules() if isinstance(part, nn.Linear)][-1]
    outputs = last.out_features
    (mean, deviation), (new_mean, new_deviation) = (
        (
            last.weight.new_tensor(unit.mean or [0.0] * outputs, dtype=torch.float64),
            last.weight.new_tensor(unit.deviation or [1.0] * outputs, dtype=torch.float64),
        )
        for unit in (old, new)
    )
    last.weight.copy_(last.weight.double() * (deviation / new_deviation)[:, None])
    last.bias.copy_((last.bias.double() * deviation + mean - new_mean) / new_deviation)
