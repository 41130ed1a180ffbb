"""Tell wrong labels from unsure answers: sharpness of the answers and share of random labels, fitted together.

A label is taken for that of the picture, or, with the share s, for one drawn from all classes alike. So its probability
is ``(1 - s) p(label) + s / K``, where p is the softmax of the answers times a factor. Both numbers have the greatest
likelihood (cf. Zhang, Kailkhura and Han, 2020, arXiv 2003.07329, and Patrini et al., 2017). A factor alone takes wrong
labels for doubt of the network: with 30 % of them its answers, of which 9 in 10 are right, would say 60 %.
Letters: N pictures, K classes, F factors, S shares.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_FACTORS = torch.logspace(-1, 3, 81)
_SHARES = torch.cat([torch.zeros(1), torch.logspace(-3.3, -0.1, 49)])
_MOST_NUMBERS = 2**22  # answers times factors that are looked at: more would not move the two numbers
_LEAST_ROWS = 500


class LabelNoise(NamedTuple):
    """What was fitted.

    Attributes:
        factor: What outputs are multiplied by to become logits of the true class.
        share: The share of labels that are drawn at random, 0 to 0.8; of K classes, one in K of them is right.
    """

    factor: float = 1.0
    share: float = 0.0

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the probability of each true class before the label is known, (N, K)."""
        return (outputs * self.factor).softmax(dim=1)

    def probability_wrong(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        """Return the probability that a label is wrong, once it is known, (N,), for probabilities (N, K)."""
        own = probabilities.gather(1, labels[:, None])[:, 0]
        drawn = self.share / probabilities.shape[1]
        return 1 - own * (1 - self.share + drawn) / ((1 - self.share) * own + drawn).clamp_min(1e-12)


def fit_label_noise(outputs: Tensor, labels: Tensor) -> LabelNoise:
    """Fit sharpness and share to answers out of fold.

    Args:
        outputs: float (N, K), such as of ridge regression on one-hot labels; finite.
        labels: int64 (N,).

    Returns:
        The most likely pair of a grid; without pictures, or with one class, the outputs as they are.
    """
    count, classes = outputs.shape
    if not count or classes < 2:
        return LabelNoise()
    most = max(_LEAST_ROWS, _MOST_NUMBERS // (classes * len(_FACTORS)))
    rows = torch.linspace(0, count - 1, min(count, most)).long()
    outputs, labels = outputs[rows].float(), labels[rows]
    rest = outputs - outputs.gather(1, labels[:, None])
    own = torch.stack([-(rest * factor).logsumexp(dim=1) for factor in _FACTORS]).exp()  # (F, N)
    likely = torch.stack(
        [((1 - share) * own + share / classes).clamp_min(1e-30).log().mean(dim=1) for share in _SHARES]
    )
    place, factor = divmod(int(likely.argmax()), len(_FACTORS))
    return LabelNoise(float(_FACTORS[factor]), float(_SHARES[place]))
