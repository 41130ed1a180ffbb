"""The methods that strangers were tried with are those of pytorch-ood, where both define them alike."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.believe.stranger_methods import Known, neighbour, relative_mahalanobis, vim
from benchmarks.believe.strangers import auroc
from tlearn.models.reliability import gaussian

detector = pytest.importorskip("pytorch_ood.detector", reason="pytorch-ood 0.4, the reference, is not installed")


def known_and_asked() -> tuple[Known, Tensor]:
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(600) % 4
    centres = torch.rand(4, 32, generator=generator)
    features = centres[targets] + 0.5 * torch.rand(600, 32, generator=generator)
    weight, bias = torch.randn(4, 32, generator=generator), torch.randn(4, generator=generator)
    new = centres[targets[:200]] + 0.5 * torch.rand(200, 32, generator=generator)
    asked = torch.cat([new, 1.2 * torch.rand(200, 32, generator=generator)])
    return Known(features, targets, F.linear(features, weight, bias), weight, bias), asked


def agree(ours: Tensor, theirs: Tensor) -> None:
    pair = torch.stack([ours.double(), theirs.double()])
    assert float(torch.corrcoef(pair)[0, 1]) == pytest.approx(1, abs=1e-5)
    assert auroc(ours[:200], ours[200:]) == pytest.approx(auroc(theirs[:200], theirs[200:]), abs=1e-3)


def test_vim() -> None:
    known, asked = known_and_asked()
    theirs = detector.ViM(None, d=10, w=known.weight, b=known.bias).fit_features(known.features, known.targets)
    agree(vim(known, asked, principal=10), theirs.predict_features(asked))


def test_nearest_neighbours() -> None:
    known, asked = known_and_asked()
    theirs = detector.KNN(None, k=3).fit_features(known.features, known.targets).predict_features(asked)
    agree((2 * neighbour(known, asked)).sqrt(), theirs)  # theirs is the chord, ours the cosine


def test_relative_mahalanobis(monkeypatch: pytest.MonkeyPatch) -> None:
    known, asked = known_and_asked()
    theirs = detector.RMD(None).fit_features(known.features, known.targets).predict_features(asked)
    shrunk = gaussian._gaussian
    # No shrinkage, as theirs: rows of length 0 make its share 0.
    monkeypatch.setattr(gaussian, "_gaussian", lambda mean, squares, covariance: shrunk(mean, 0 * squares, covariance))
    agree(relative_mahalanobis(known, asked), theirs)
