"""`probe` says what every stage is worth, and its closed forms are what refitting would have given."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, LightningModule, Trainer
from sklearn.linear_model import Ridge
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor
from torchvision.models import resnet18

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import CONFIG, picture, write_splits, write_table
from tlearn import DigitsDataModule, TlearnError, TransferModule
from tlearn.analysis import probe as probing
from tlearn.analysis.stage_features import StageFeatures, stage_features
from tlearn.analysis.stage_probe import (
    Labelled,
    StageProbe,
    best_of,
    probe_stage,
    score,
    stages_of,
)
from tlearn.data.datamodule import Split
from tlearn.training.strategies.head_solver import STRENGTHS, ridge_path, turn
from tlearn.training.strategies.left_out import folds_of, left_out_outputs

STAGES = ["stem", "layer1", "layer2", "layer3", "layer4", "all"]
RUN = Path("runs/probe/small/version_0")
TIMES = ("pass_time_s", "time_s")
VAL = ("--data.val_fraction", "0.2")


def probed(tlearn: Tlearn, *words: str) -> tuple[str, dict[str, Any]]:
    """What it printed, and what it wrote."""
    answer = tlearn("probe", *words, "--out", "probed.json")
    assert answer.code == 0, answer.err
    return answer.out, json.loads(Path("probed.json").read_text())


def refused(tlearn: Tlearn, *words: str) -> str:
    answer = tlearn("probe", *words)
    assert answer.code == 2, answer.out
    (line,) = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert answer.err.endswith(line + "\n")
    return line


def probes_of(found: dict[str, Any]) -> list[StageProbe]:
    return [StageProbe(**each) for each in found["stages"]]


def test_table_file_and_curves_agree(tlearn: Tlearn, small: str) -> None:
    said, found = probed(tlearn, "-c", small, *VAL, "--image_sizes", "32,16")
    assert found == json.loads((RUN / "probe.json").read_text())
    assert [(each["image_size_px"], each["stage"]) for each in found["stages"]] == [
        (size, stage) for size in (16, 32) for stage in STAGES
    ]
    assert [each["width"] for each in found["stages"][:6]] == [64, 64, 128, 256, 512, 1024]
    assert (found["score"], found["train_images"], found["val_images"]) == ("accuracy", 24, 85)
    rows = re.findall(r"^ +(\d+) px +(\w+)( \*)? +([\d,]+) +([\d.]+) +([\d.]+) +([\d.]+) *$", said, flags=re.MULTILINE)
    best = best_of(probes_of(found))
    assert StageProbe(**found["best"]) == best
    assert [(int(row[0]), row[1], bool(row[2])) for row in rows] == [
        (each.image_size_px, each.stage, each == best) for each in probes_of(found)
    ]
    assert [list(row[3:]) for row in rows] == [
        [f"{each.width:,}", *(f"{100 * value:.1f}" for value in (each.ridge, each.left_out, each.neighbours))]
        for each in probes_of(found)
    ]
    assert [each.logistic is not None for each in probes_of(found)] == [each == best for each in probes_of(found)]
    assert best.logistic is not None
    assert 0.5 < best.logistic <= 1
    right = f"{round(85 * best.ridge)} of 85 by ridge\n"
    place = re.escape(f"best tap: {best.stage} at {best.image_size_px} px: {100 * best.ridge:.1f} %")
    assert re.search(place + r" \[[\d.]+, [\d.]+\], " + right, said)
    assert said.splitlines()[-1].startswith("to use it: --model.freeze_backbone true --model.tap ")
    assert found["taps"] == (STAGES[:-1] if best.stage == "all" else [best.stage])
    log = EventAccumulator(str(RUN)).Reload()
    for stage in STAGES:
        of = [each for each in probes_of(found) if each.stage == stage]
        names = {"probe": "ridge", "probe_left_out": "left_out", "probe_neighbours": "neighbours"}
        for tag, name in names.items():
            points = log.Scalars(f"{tag}/{stage}")
            assert [point.step for point in points] == [16, 32]
            assert [point.value for point in points] == pytest.approx([getattr(each, name) for each in of])


def test_strategy_is_ignored_and_what_it_names_is_usable(tlearn: Tlearn, small: str) -> None:
    strategy = ["--model.freeze_until", "layer1", "--model.head_init", "probe", "--model.wise_ft", "true"]
    strategy += ["--model.batch_norm", "fixed", "--model.head_dropout", "0.5", "--trainer.max_epochs", "0"]
    strategy += ["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=val/loss"]
    words = ["-c", small, *VAL, "--image_sizes", "4,16"]
    said, found = probed(tlearn, *words)
    _, other = probed(tlearn, *words, *strategy)
    assert {k: v for k, v in found.items() if k not in TIMES} == {k: v for k, v in other.items() if k not in TIMES}
    assert found["best"]["image_size_px"] == 16
    (use,) = re.findall(r"^to use it: (.*)$", said, flags=re.MULTILINE)
    # Its logistic regression is what `fit` reaches with these words, for both solve the same head.
    answer = tlearn("fit", "-c", small, *VAL, *use.split(), "--model.head_solver", "lbfgs")
    assert answer.code == 0, answer.err
    assert f" acc {100 * found['best']['logistic']:.1f} %" in answer.err
    assert sorted(path.name for path in Path("runs").iterdir()) == ["probe", "small"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--image_sizes", "0"], "--image_sizes expects different sides in pixels such as 32,64,128, got '0'"),
        (["--image_sizes", "16,small"], "got '16,small'"),
        (["--image_sizes", "16,32,16"], "got '16,32,16'"),
        (["--image_sizes=16,"], "got '16,'"),
        (["--image_sizes"], "--image_sizes needs a value"),
        (["--out"], "--out needs a value"),
        (["--out", "nowhere/x.json"], "nowhere does not exist"),
        (["--ckpt_path", "last"], "to look at your own: --model.weights PATH"),
        (
            ["--data.train_per_class", "1"],
            "classes with fewer than 2 images left to train on, of which nothing can be told: 0 1, 1 1, 2 1",
        ),
        (["--model.backbone", "resnet19"], "Did you mean 'resnet18'?"),
    ],
)
def test_wrong_words(words: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    assert expected in refused(tlearn, "-c", small, *words)


def test_help(tlearn: Tlearn) -> None:
    assert tlearn("probe", "--help").out.startswith("usage: tlearn probe TARGET [--option VALUE ...]")


def test_weights_that_are_no_numbers_are_refused(tlearn: Tlearn, small: str) -> None:
    state = resnet18().state_dict()
    state["layer2.0.conv1.weight"][0, 0, 1, 1] = float("nan")
    torch.save(state, "nan.pth")
    line = refused(tlearn, "-c", small, "--model.weights", "nan.pth", "--image_sizes", "24")
    assert "the features of layer2 at 24 px are not finite for 24 of 24 images" in line


def test_one_picture_again_and_again_is_refused(tlearn: Tlearn, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "pictures/train" / name).mkdir(parents=True)
        for number in range(8):
            picture("cat", 0, 32).save(tmp_path / f"pictures/train/{name}/{number}.png")
    Path("folder.yaml").write_text(CONFIG)
    line = refused(tlearn, "-c", "folder.yaml", "--data.val_fraction", "0.25")
    assert "the features of stem at 32 px are alike for all 12 training images: are these all the same picture?" in line


def test_values_are_probed(tlearn: Tlearn, small: str) -> None:
    task = ["--data.task", "regression", "--data.classes", "[0, 1, 2, 3]"]
    said, found = probed(tlearn, "-c", small, *VAL, *task, "--data.train_per_class", "null")
    assert found["score"] == "R2"
    assert found["best"]["ridge"] > 0.5
    assert found["best"]["left_out"] > 0.5
    assert found["best"]["logistic"] is None
    assert "R2 in %, " in said
    assert "logistic" not in said


def test_labels_are_probed(tlearn: Tlearn, tmp_path: Path) -> None:
    write_table(tmp_path, 36)
    text = (tmp_path / "table.csv").read_text().replace("cat\n", "cat;pet\n").replace("dog\n", "dog;pet\n")
    (tmp_path / "table.csv").write_text(text)
    Path("table.yaml").write_text(
        CONFIG.replace("ImageFolder", "ImageTable").replace("root: pictures", "table: table.csv, task: multilabel")
    )
    said, found = probed(tlearn, "-c", "table.yaml", "--data.val_fraction", "0.3")
    assert found["score"] == "mean average precision"
    assert found["best"]["ridge"] > 0.9  # colours
    assert found["best"]["left_out"] > 0.9
    assert "mean average precision in %" in said


def test_picture_files_are_read_at_the_largest_size(
    tlearn: Tlearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def note(trainer: Trainer, module: TransferModule, size_px: int) -> StageFeatures:
        read.append((size_px, trainer.datamodule.image_shape_px))  # type: ignore[attr-defined]
        return stage_features(trainer, module, size_px)

    monkeypatch.setattr(probing, "stage_features", note)
    write_splits(tmp_path / "pictures")
    Path("folder.yaml").write_text(CONFIG)
    _, found = probed(tlearn, "-c", "folder.yaml", "--image_sizes", "[16,48]")
    assert read == [(16, (48, 48)), (48, (48, 48))]
    assert list(found["pass_time_s"]) == ["16", "48"]
    assert (found["train_images"], found["val_images"]) == (24, 12)


def draws(images: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Correlated features of uneven sizes (N, D), and two values that hang on them (N, 2)."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(images, width, generator=generator) @ torch.randn(width, width, generator=generator)
    features = 3 + features * torch.linspace(0.2, 2, width)
    noise = torch.randn(images, 2, generator=generator)
    return features, features[:, :2] / features[:, :2].std(dim=0) + noise


def refitted(features: Tensor, wanted: Tensor, folds: list[Tensor]) -> Tensor:
    """Predict each fold by scikit-learn's ridge on all others, with the strength that errs least in that."""
    centred = (features - features.mean(dim=0)).double()
    rows = (centred / centred.square().mean().sqrt()).numpy()
    best, least = wanted, float("inf")
    for strength in [each for each in STRENGTHS if each >= 1e-4]:
        outputs = np.empty(tuple(wanted.shape))
        for fold in folds:
            rest = np.setdiff1d(np.arange(len(rows)), fold.numpy())
            theirs = Ridge(alpha=strength * len(rows)).fit(rows[rest], wanted[rest].double().numpy())
            outputs[fold.numpy()] = theirs.predict(rows[fold.numpy()])
        if (error := float(((outputs - wanted.numpy()) ** 2).mean())) < least:
            best, least = torch.from_numpy(outputs), error
    return best


@pytest.mark.parametrize(("images", "width"), [(60, 8), (20, 50)])
@pytest.mark.parametrize("together", [1, 4])
def test_left_out_is_what_refitting_without_an_image_gives(images: int, width: int, together: int) -> None:
    features, wanted = draws(images, width)
    folds = list(torch.randperm(images, generator=torch.Generator().manual_seed(0)).split(together))
    outputs = left_out_outputs(turn(features, torch.ones(images)), wanted, folds)
    assert outputs.numpy() == pytest.approx(refitted(features, wanted, folds).numpy(), abs=2e-3)
    assert score("regression", outputs, wanted) < score("regression", wanted, wanted) - 0.05


@pytest.mark.parametrize(("width", "together"), [(200, 1), (200, 10), (12, 10)])
def test_rows_that_fit_themselves_are_passed_over(width: int, together: int) -> None:
    # Without strength 20 images are fitted exactly in 200 directions, and ten of them in 12: then 1 - h is rounding.
    features = torch.randn(20, width, generator=torch.Generator().manual_seed(0))
    wanted = torch.randn(20, 2, generator=torch.Generator().manual_seed(1))
    folds = list(torch.arange(20).split(together))
    outputs = left_out_outputs(turn(features, torch.ones(20)), wanted, folds)
    assert outputs.numpy() == pytest.approx(refitted(features, wanted, folds).numpy(), abs=2e-2)
    assert score("regression", outputs, wanted) < 0.1


def test_rounding_is_no_knowledge() -> None:
    # Of 8 images in 512 directions, strengths that fit them exactly leave rounding over rounding: here it looks good.
    features = torch.randn(8, 512, generator=torch.Generator().manual_seed(9))
    wanted = F.one_hot(torch.arange(8) % 2, 2).float()
    folds = list(torch.arange(8).split(1))
    outputs = left_out_outputs(turn(features, torch.ones(8)), wanted, folds)
    assert outputs.numpy() == pytest.approx(refitted(features, wanted, folds).numpy(), abs=2e-2)


def test_one_of_every_class_is_left_out_where_classes_are_small() -> None:
    targets = torch.tensor([0, 1, 1, 0, 2, 2, 1])
    folds = folds_of("classification", targets, 3)
    assert [targets[fold].sort().values.tolist() for fold in folds] == [[0, 1, 2], [0, 1, 2], [1]]
    assert torch.cat(folds).sort().values.tolist() == list(range(7))
    many = torch.arange(3).repeat(51)
    assert [len(fold) for fold in folds_of("classification", many, 3)] == [1] * 153
    assert [len(fold) for fold in folds_of("regression", torch.zeros(4, 1), 1)] == [1] * 4
    # One alone tilts the rest against its class: without a trace of the classes in the features, all would be wrong.
    noise, labels = torch.randn(20, 1, generator=torch.Generator().manual_seed(1)), torch.arange(2).repeat(10)
    turned, wanted = turn(noise, torch.ones(20)), F.one_hot(labels, 2).float()
    alone = left_out_outputs(turned, wanted, list(torch.arange(20).split(1)))
    ours = left_out_outputs(turned, wanted, folds_of("classification", labels, 2))
    assert score("classification", alone, labels) == 0
    assert 0.4 < score("classification", ours, labels) < 0.6


def test_fewer_images_than_features_predict_as_the_whole_covariance_does() -> None:
    (features, wanted), (others, _) = draws(30, 80), draws(15, 80, seed=1)
    turned = turn(features, torch.ones(30))
    assert turned.basis.shape == (80, 29)  # centred, they span one direction less
    rows = (features.double() - features.double().mean(dim=0)) / turned.scale.double()
    seen = (others.double() - features.double().mean(dim=0)) / turned.scale.double()
    for strength, weight, bias in ridge_path(turned, wanted):
        if strength < 1e-5:
            break
        predicted = turned.turned(others) @ weight.float().T + bias
        covariance = rows.T @ rows / 30 + strength * torch.eye(80, dtype=torch.float64)
        mean = wanted.double().mean(dim=0)
        layer = torch.linalg.solve(covariance, rows.T @ (wanted.double() - mean) / 30)
        assert predicted.numpy() == pytest.approx((seen @ layer + mean).numpy(), abs=2e-3, rel=2e-3)


def test_scores() -> None:
    assert score("classification", torch.tensor([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0]]), torch.tensor([1, 0, 0])) == (
        pytest.approx(2 / 3)
    )
    # Precision where a label's images are found: 1 and 2/3 for the first, all for the second, none bears the third.
    outputs = torch.tensor([[0.9, 0.1, 0.5], [0.8, 0.9, 0.4], [0.7, 0.2, 0.3]])
    targets = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    assert score("multilabel", outputs, targets) == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)
    values = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    assert score("regression", values.mean().expand(4, 1), values) == pytest.approx(0)
    assert score("regression", values + 1, values) == pytest.approx(1 - 4 / 5)


def test_neighbours_know_what_lies_apart() -> None:
    centres = 10 * torch.randn(3, 16, generator=torch.Generator().manual_seed(0))

    def sample(images: int, seed: int) -> Labelled:
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(0, 3, (images,), generator=generator)
        return Labelled(centres[labels] + torch.randn(images, 16, generator=generator), labels)

    train, val = sample(90, 1), sample(60, 2)
    found = probe_stage("layer1", 32, "classification", train, val, 3)
    assert (found.ridge, found.left_out, found.neighbours) == (1, 1, 1)
    wrong = probe_stage("layer1", 32, "classification", train, val._replace(targets=(val.targets + 1) % 3), 3)
    assert (wrong.left_out, wrong.neighbours) == (1, 0)
    bad = val.features.clone()
    bad[[3, 7], 0] = float("inf")
    with pytest.raises(TlearnError, match=r"the features of layer1 at 32 px are not finite for 2 of 60 images"):
        probe_stage("layer1", 32, "classification", train, val._replace(features=bad), 3)


def test_best_is_good_in_both_views_and_narrow() -> None:
    wide = StageProbe("layer4", 32, 512, ridge=0.9, strength=0.1, left_out=0.8, neighbours=0.1)
    lucky = replace(wide, stage="layer1", ridge=0.95, left_out=0.7)
    narrow = replace(wide, stage="layer2", width=128, ridge=0.8, left_out=0.9)
    assert best_of([wide, lucky, narrow]) == narrow


def test_stages_too_wide_together_stand_alone() -> None:
    assert list(stages_of(torch.zeros(2, 12), ["one", "two"], [4, 8])) == ["one", "two", "all"]
    assert list(stages_of(torch.zeros(2, 2049), ["one", "two"], [1, 2048])) == ["one", "two"]
    assert list(stages_of(torch.zeros(2, 4), ["one"], [4])) == ["one"]


class Look(Callback):
    """Take the features of every stage before the first step."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, TransferModule)
        self.before = {name: value.clone() for name, value in pl_module.backbone.state_dict().items()}
        self.found = stage_features(trainer, pl_module, 32)
        assert all(torch.equal(value, self.before[name]) for name, value in pl_module.backbone.state_dict().items())
        trainer.should_stop = True


@pytest.mark.parametrize("backbone", ["resnet18", "timm/test_resnet"])
def test_features_are_those_of_a_network_with_that_tap(backbone: str) -> None:
    if backbone.startswith("timm"):
        pytest.importorskip("timm")
    torch.manual_seed(0)
    data = DigitsDataModule(classes=[0, 1, 2], train_per_class=8, val_fraction=0.05, size_px=16)
    module = TransferModule(data.num_classes, data.class_names, backbone=backbone, weights=None)
    for name, value in module.backbone.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            value.add_(0.1 * torch.rand_like(value))  # statistics that a pass would have to leave alone
    look = Look()
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    quiet |= {"enable_model_summary": False, "num_sanity_val_steps": 0, "limit_val_batches": 0, "accelerator": "cpu"}
    # Its backbone trains: meanwhile kernels are cut to what 16 px pictures need, and 32 px ones need more.
    Trainer(max_epochs=1, limit_train_batches=1, callbacks=[look], **quiet).fit(module, data)
    module.backbone.load_state_dict(look.before)  # a step is taken before the run stops
    assert list(look.found.train)[:-1] == list(module.backbone.tappable)
    splits: dict[Split, dict[str, Labelled]] = {"train": look.found.train, "val": look.found.val}
    for split, parts in splits.items():
        images = data.dataset(split)
        pixels = torch.cat(list(data.pixels(split, iter([len(images)]), 0)))
        for stage in module.backbone.tappable:
            alone = TransferModule(data.num_classes, backbone=backbone, weights=None, tap=stage, image_size=32).eval()
            kept = alone.backbone.state_dict().keys()
            alone.backbone.load_state_dict({k: v for k, v in module.backbone.state_dict().items() if k in kept})
            with torch.no_grad():
                wanted = alone.features(pixels)
            assert parts[stage].features.numpy() == pytest.approx(wanted.numpy(), abs=1e-4, rel=1e-3)
            assert torch.equal(parts[stage].targets, images.targets[images.indices])
        assert torch.equal(parts["all"].features, torch.cat([parts[s].features for s in module.backbone.tappable], 1))
