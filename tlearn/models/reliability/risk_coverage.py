"""How often answers are wrong if only the surest are given: the risk-coverage curve. N answers."""

from __future__ import annotations

import torch
from torch import Tensor


def risk_coverage(confidence: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Return the share of answers given and the share of wrong ones among them, from the surest alone to all.

    El-Yaniv and Wiener, 2010. Answers of equal confidence come in no order: each counts with their mean.

    Args:
        confidence: (N,).
        right: Whether each answer is right, bool (N,).

    Returns:
        Coverage, from 1 / N to 1, and risk; float64 (N,) each.
    """
    ordered, order = confidence.sort(descending=True)
    _, codes, counts = ordered.unique_consecutive(return_inverse=True, return_counts=True)
    wrong = (~right[order]).double()
    means = torch.zeros(len(counts), dtype=torch.float64, device=wrong.device).index_add(0, codes, wrong) / counts
    ranks = torch.arange(1, len(ordered) + 1, device=wrong.device, dtype=torch.float64)
    return ranks / len(ordered), means[codes].cumsum(0) / ranks


def area_under_risk_coverage(confidence: Tensor, right: Tensor) -> float:
    """Return the mean risk over all coverages (AURC, Geifman et al., 2019, arXiv 1805.08206); lower is better.

    NaN without answers. An order by chance has the share of wrong answers, the best order about half its square.
    """
    return float(risk_coverage(confidence, right)[1].mean())
