"""What an evaluation tells, against torchmetrics and by hand: who is taken for whom, and whether probabilities hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from tlearn.base.types import Task
from tlearn.models.calibration import AS_TRAINED, Calibration
from tlearn.models.reliability.calibration_error import BINS
from tlearn.reporting.evaluation import (
    Answers,
    answers_from,
    class_scores,
    confusion_matrix,
    reliability,
    summary_of,
    verdict,
    worst_mistakes,
)
from tlearn.reporting.figures import (
    confusion_figure,
    gallery_figure,
    overlay,
    per_class_figure,
    reliability_figure,
    scatter_figure,
    shortened,
)
from tlearn.training.evaluation import Outputs

NAMES = ["ant", "bee", "cat"]


def answers(task: Task, logits: torch.Tensor, targets: torch.Tensor, calibration: Calibration = AS_TRAINED) -> Answers:
    names = [] if task == "regression" else NAMES
    return answers_from(task, names, Outputs("val", 3, logits, targets, torch.arange(len(logits))), calibration)


def four() -> Answers:
    """Ant, bee and cat, of which one ant is surely a bee and one cat is perhaps an ant."""
    logits = torch.tensor([[2.0, 0, 0], [0, 5, 0], [0, 3, 0], [1, 0, 0.5]])
    return answers("classification", logits, torch.tensor([0, 0, 1, 2]))


def drawn(count: int = 400) -> Answers:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(count, 3, generator=generator)
    return answers("classification", logits, torch.randint(0, 3, (count,), generator=generator), Calibration(1.7))


def test_confusions_and_class_scores_by_hand() -> None:
    assert confusion_matrix(four()).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    scores = class_scores(four())
    assert scores.images.tolist() == [2, 1, 1]
    assert scores.accuracy.tolist() == [0.5, 1, 0]
    assert scores.precision[:2].tolist() == [0.5, 0.5]
    assert scores.precision[2].isnan()  # nothing is said to be a cat
    assert scores.f1.tolist() == pytest.approx([0.5, 2 / 3, 0])


def test_worst_mistakes_come_with_the_surest_first() -> None:
    assert worst_mistakes(four(), 10) == [1, 3]
    assert worst_mistakes(four(), 1) == [1]
    true, predicted, probability = verdict(four(), 1)
    assert (true, predicted) == ("ant", "bee")
    assert probability == pytest.approx(float(torch.tensor([0.0, 5, 0]).softmax(dim=0)[1]))


def test_several_labels() -> None:
    logits = torch.tensor([[4.0, -4, -4], [4, 4, -4], [-4, -4, 0.5]])
    found = answers("multilabel", logits, torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 0, 0]]))
    assert worst_mistakes(found, 9) == [1, 2]
    assert verdict(found, 1)[:2] == ("ant", "ant, bee")
    assert verdict(found, 2)[:2] == ("none", "cat")
    scores = class_scores(found)
    assert scores.images.tolist() == [2, 0, 0]
    assert scores.accuracy[0] == 1
    assert scores.precision[1] == 0
    summary = summary_of(found)
    assert summary["confusion"] is None
    assert summary["per_class"][1] == {"name": "bee", "images": 0, "accuracy": None, "precision": 0.0, "f1": 0.0}


def test_a_value() -> None:
    found = answers("regression", torch.tensor([[1.0], [5.0]]), torch.tensor([[1.5], [2.0]]))
    assert worst_mistakes(found, 1) == [1]
    assert verdict(found, 1) == ("2", "5", None)
    summary = summary_of(found)
    assert summary["scatter"] == [[1.5, 1.0], [2.0, 5.0]]
    assert (summary["confusion"], summary["per_class"], summary["calibration"]) == (None, [], None)


@pytest.mark.parametrize("temperature", [1.0, 1.7])
def test_calibration_error_is_that_of_torchmetrics(temperature: float) -> None:
    found = drawn()
    wanted = multiclass_calibration_error(
        (found.outputs.logits / temperature).softmax(dim=1), found.targets, 3, n_bins=BINS
    )
    assert reliability(found, Calibration(temperature)).ece == pytest.approx(float(wanted), abs=1e-6)
    assert int(reliability(found, Calibration(temperature)).counts.sum()) == len(found.given)
    labels = answers("multilabel", found.outputs.logits, (found.outputs.logits > 1).float())
    wanted = binary_calibration_error(labels.given.flatten(), labels.targets.flatten(), n_bins=BINS)
    assert reliability(labels, AS_TRAINED).ece == pytest.approx(float(wanted), abs=1e-6)


def test_a_probability_of_one_has_a_bin() -> None:
    found = reliability(answers("classification", torch.tensor([[500.0, 0, 0]]), torch.tensor([0])), AS_TRAINED)
    assert found.counts.tolist() == [0] * (BINS - 1) + [1]
    assert found.ece == 0


def test_calibrated_answers_lie_on_the_diagonal() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(50_000, 3, generator=generator)
    targets = torch.multinomial(logits.softmax(dim=1), 1, generator=generator).flatten()
    assert reliability(answers("classification", logits, targets), AS_TRAINED).ece < 0.01
    assert reliability(answers("classification", 3 * logits, targets), AS_TRAINED).ece > 0.1
    assert reliability(answers("classification", 3 * logits, targets), Calibration(3.0)).ece < 0.01


def test_confusion_figure_shades_by_share_of_the_true_class() -> None:
    picture = confusion_figure(answers("classification", torch.eye(3) * 9, torch.tensor([0, 1, 2])))
    assert picture.dtype == np.uint8
    dark = (picture.sum(axis=2) < 250) & (picture[..., 2] > 80)  # Blues at 1 is a dark blue
    rows, columns = np.nonzero(dark)
    assert dark.sum() > 3 * 40 * 40
    assert np.corrcoef(rows, columns)[0, 1] > 0.85  # on the diagonal from the upper left to the lower right


def test_many_classes_show_those_with_most_mistakes() -> None:
    names = [f"class {n}" for n in range(100)]
    targets = torch.arange(100)
    outputs = Outputs("val", 1, 9 * torch.eye(100)[targets.roll(1).where(targets < 20, targets)], targets, targets)
    many = answers_from("classification", names, outputs, AS_TRAINED)
    for draw in (confusion_figure, per_class_figure, reliability_figure):
        height, width, _ = draw(many).shape
        assert 300 <= height <= 1700
        assert 300 <= width <= 1700


def test_figures_take_names_of_any_script() -> None:
    names = [
        "自行车",
        "<b>& $_$ $\\frac$",
        "a name so long that it would push the picture off the page\nand a second line",
    ]
    found = answers_from("classification", names, four().outputs, AS_TRAINED)
    for draw in (confusion_figure, per_class_figure):  # a glyph that no font has would warn, and warnings are errors
        draw(found)
    assert shortened(names[2]) == "a nam…d line"


def test_several_labels_of_which_none_holds() -> None:
    nothing = answers("multilabel", torch.randn(4, 3), torch.zeros(4, 3))
    assert per_class_figure(nothing).shape[1] == 700


def test_values_without_end_are_left_out_of_the_scatter() -> None:
    found = answers("regression", torch.tensor([[1.0], [torch.inf]]), torch.tensor([[1.5], [2.0]]))
    assert summary_of(found)["scatter"] == [[1.5, 1.0]]


def test_gallery_keeps_the_pictures() -> None:
    pictures = torch.zeros(3, 3, 32, 32, dtype=torch.uint8)
    pictures[1, 0] = 255  # red
    drawn_picture = gallery_figure(pictures, ["a", "b", "c"], "three").astype(int)
    red = (drawn_picture[..., 0] > 250) & (drawn_picture[..., 1] < 5)
    black = drawn_picture.sum(axis=2) == 0
    assert red.sum() > 150 * 150
    assert 1.9 < black.sum() / red.sum() < 2.2
    assert np.nonzero(red)[1].min() > np.nonzero(black)[1].min()


def test_overlay_is_bright_where_heat_is() -> None:
    pictures = torch.full((1, 3, 8, 8), 100, dtype=torch.uint8)
    heat = torch.zeros(1, 8, 8)
    heat[0, :, 4:] = 0.001  # scaled to its own maximum
    shown = overlay(pictures, heat).float().mean(dim=(0, 1))
    assert (shown[:, 4:] > 2 * shown[:, :4]).all()
    assert overlay(pictures, torch.zeros(1, 8, 8)).float().std() < 100  # no heat at all: no division by it


def test_scatter_has_a_point_for_each_image() -> None:
    values = torch.linspace(0, 1, 40).unsqueeze(1)
    blue = scatter_figure(answers("regression", values, values)).astype(int)
    assert ((blue[..., 2] - blue[..., 0]) > 60).sum() > 300
