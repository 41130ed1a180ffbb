"""How strange a picture looks: scores, held-out scores, and the share of pictures that look less strange."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sklearn.covariance import LedoitWolf
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.models.reliability import gaussian
from tlearn.models.reliability.gaussian import fit_gaussian, held_out_distances
from tlearn.models.reliability.neighbours import unit_rows
from tlearn.models.reliability.strangers import (
    LEAST_HELD_OUT,
    STRANGER_SHARE,
    StrangerDetector,
    fit_detector,
    held_out_scores,
    scores_of,
    stranger_share,
)


def clouds(count: int, classes: int, width: int = 64, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Features of classes around positive centres, their class numbers, and logits that tell them."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.rand(classes, width, generator=torch.Generator().manual_seed(99))
    targets = torch.arange(count) % classes
    features = centres[targets] + 0.3 * torch.rand(count, width, generator=generator)
    return features, targets, 3 * torch.nn.functional.one_hot(targets, classes).float()


def strange(count: int, classes: int, width: int = 64) -> tuple[Tensor, Tensor]:
    features = torch.rand(count, width, generator=torch.Generator().manual_seed(5)) ** 4
    return features, torch.zeros(count, classes)


def test_other_pictures_are_strangers_and_new_ones_of_the_same_kind_are_not() -> None:
    features, targets, logits = clouds(300, 3)
    detector = fit_detector(features, targets, logits)
    held_out = held_out_scores(features, targets, logits)
    new, _, new_logits = clouds(2000, 3, seed=1)
    kept = stranger_share(scores_of(detector, new, new_logits), held_out) <= STRANGER_SHARE
    assert kept.float().mean() == pytest.approx(0.95, abs=0.02)
    shares = stranger_share(scores_of(detector, *strange(50, 3)), held_out)
    assert (shares > STRANGER_SHARE).all()


def test_a_held_out_distance_is_that_of_a_gaussian_without_the_fold_and_its_groups() -> None:
    features, targets, _ = clouds(60, 3)
    rows = unit_rows(features)
    for groups in (torch.arange(60), torch.arange(60) // 7, torch.arange(60) // 30):
        folds = gaussian._folds(targets, groups)
        assert len(folds.unique()) == min(5, len(groups.unique()))
        assert all(len(folds[groups == group].unique()) == 1 for group in groups.unique())
        found = held_out_distances(rows, targets, groups)
        for fold in folds.unique():
            wanted = fit_gaussian(rows[folds != fold]).gaussian.distances(rows[folds == fold])
            torch.testing.assert_close(found[folds == fold], wanted, rtol=1e-3, atol=0)


@pytest.mark.parametrize("count", [50, 400])
def test_a_left_out_distance_is_that_of_a_gaussian_without_the_picture(count: int) -> None:
    rows = unit_rows(clouds(count, 3)[0])
    found = fit_gaussian(rows).left_out_distances(rows)
    wanted = [fit_gaussian(rows[torch.arange(count) != row]).gaussian.distances(rows[row, None]) for row in range(20)]
    torch.testing.assert_close(found[:20], torch.cat(wanted), rtol=2 / count, atol=0)


def test_folds_deal_every_class_out() -> None:
    folds = gaussian._folds(torch.tensor([0] * 10 + [1] * 5 + [2]), torch.arange(16))
    assert folds[:10].bincount().tolist() == [2] * 5
    assert sorted(folds[10:15].tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("count", [20, 500])
def test_its_covariance_is_shrunk_as_by_scikit_learn(count: int) -> None:
    rows = unit_rows(clouds(count, 3)[0])
    model = LedoitWolf().fit(rows.double().numpy())
    wanted = torch.from_numpy(model.mahalanobis(rows.double().numpy())).float()
    torch.testing.assert_close(fit_gaussian(rows).gaussian.distances(rows), wanted, rtol=1e-3, atol=0)


def test_energy_counts_half_a_deviation_and_only_for_classes() -> None:
    features, targets, logits = clouds(300, 3)
    logits = logits * torch.rand(300, 1, generator=torch.Generator().manual_seed(2))
    detector = fit_detector(features, targets, logits)
    distances = fit_gaussian(unit_rows(features)).left_out_distances(unit_rows(features))
    assert float(detector.weights[0]) == pytest.approx(1 / float(distances.std(correction=0)))
    assert float(detector.weights[1]) == pytest.approx(0.5 / float(logits.logsumexp(dim=1).std(correction=0)))
    unsure = detector(features[:1], logits[:1] * 0) - detector(features[:1], logits[:1])
    assert unsure > 0
    assert fit_detector(features, logits, logits).weights[1] == 0
    assert fit_detector(features, targets, logits[:0]).weights[1] == 0


def test_the_share_counts_the_picture_itself_and_no_ties() -> None:
    held_out = torch.arange(1.0, 51)
    scores = torch.tensor([0.0, 1, 1.5, 50, 51, torch.inf, torch.nan])
    wanted = torch.tensor([0.0, 0, 1, 49, 50, 50, 50]) / 51
    torch.testing.assert_close(stranger_share(scores, held_out), wanted)
    assert stranger_share(torch.tensor([9.0]), torch.zeros(LEAST_HELD_OUT)) > STRANGER_SHARE
    assert stranger_share(torch.tensor([9.0]), torch.zeros(LEAST_HELD_OUT - 1)) <= STRANGER_SHARE
    assert stranger_share(scores, torch.zeros(0)).tolist() == [0] * 7


@pytest.mark.parametrize("targets", [torch.rand(30, 4).round(), torch.rand(30, 1)])
def test_several_labels_and_values_need_no_classes(targets: Tensor) -> None:
    features, _, _ = clouds(30, 1)
    outputs = torch.zeros(len(targets), targets.shape[1])
    detector = fit_detector(features, targets, outputs)
    held_out = held_out_scores(features, targets, outputs)
    assert held_out.isfinite().all()
    assert detector(*strange(1, targets.shape[1])) > held_out.max()


def test_little_is_enough() -> None:
    one = fit_detector(torch.ones(1, 8), torch.zeros(1).long(), torch.zeros(1, 2))
    assert one(torch.ones(1, 8), torch.zeros(1, 2)).abs() < 1e-3
    assert one(-torch.ones(1, 8), torch.zeros(1, 2)) > 1
    classes = torch.tensor([0, 0, 0, 1])  # one of a single picture
    assert held_out_scores(torch.eye(4), classes, torch.zeros(4, 2)).isfinite().all()
    for same in (torch.ones(6, 8), torch.zeros(6, 8)):
        scores = held_out_scores(same, torch.arange(6), torch.zeros(6, 6))
        assert stranger_share(scores, scores).max() < 1


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_features_that_are_not_finite_are_told(broken: float) -> None:
    features, targets, logits = clouds(30, 3)
    detector = fit_detector(features, targets, logits)
    features[3, 5] = broken
    with pytest.raises(TlearnError, match="the features of training pictures are not finite for 1 of 30 pictures"):
        fit_detector(features, targets, logits)
    with pytest.raises(TlearnError, match="not finite for 1 of 30"):
        held_out_scores(features, targets, logits)
    with pytest.raises(TlearnError, match="the features are not finite for 1 of 30"):
        scores_of(detector, features, logits)
    assert stranger_share(detector(features, logits), torch.zeros(30))[3] == pytest.approx(30 / 31)


def test_what_does_not_fit_together_is_told() -> None:
    features, targets, logits = clouds(30, 3)
    with pytest.raises(TlearnError, match="of the same pictures, 1 or more; there are 30, 29 and"):
        fit_detector(features, targets[1:], logits)
    with pytest.raises(TlearnError, match="all training pictures are of one group"):
        held_out_scores(features, targets, logits, torch.zeros(30).long())
    with pytest.raises(TlearnError, match="held-out pictures are not finite"):
        stranger_share(logits[:, 0], torch.tensor([torch.nan]))


def test_its_state_restores_it(tmp_path: Path) -> None:
    features, targets, logits = clouds(30, 3)
    detector = fit_detector(features, targets, logits)
    torch.save(detector.state_dict(), tmp_path / "state.pt")
    again = StrangerDetector.restored(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(again(*strange(9, 3)), detector(*strange(9, 3)))


@pytest.mark.slow  # the exporter takes seconds to import
def test_it_exports_to_onnx(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    network = _Answering(fit_detector(*clouds(30, 3))).eval()
    program = torch.onnx.export(
        network,
        (torch.rand(4, 64),),
        dynamo=True,
        input_names=["features"],
        dynamic_shapes={"features": {0: torch.export.Dim("batch")}},
        verbose=False,
    )
    assert program is not None
    program.save(tmp_path / "detector.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "detector.onnx", providers=["CPUExecutionProvider"])
    features, _ = strange(9, 3)
    (found,) = session.run(None, {"features": features.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), network(features), atol=1e-3, rtol=1e-4)


class _Answering(torch.nn.Module):
    """A head with a detector, as an exported network has them."""

    def __init__(self, detector: StrangerDetector) -> None:
        super().__init__()
        self.head, self.detector = torch.nn.Linear(64, 3), detector

    def forward(self, features: Tensor) -> Tensor:
        scores: Tensor = self.detector(features, self.head(features))
        return scores
