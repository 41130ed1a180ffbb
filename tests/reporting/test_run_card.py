"""What a run leaves for people: the card, the report, the evaluations and metrics.csv, also when it breaks off."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import write_splits, write_table
from tests.helpers.made_run import Page
from tlearn.reporting.evaluation_figures import EvaluationPagesCallback
from tlearn.training.module import TransferModule

RUN = Path("runs/small/version_0")
FOLDER = """
seed_everything: 0
trainer: {max_epochs: 2, accelerator: cpu, precision: 32-true}
model: {weights: null, tap: layer1, optimizer: {class_path: SGD, init_args: {lr: 0.02, momentum: 0.9}}}
data: {class_path: ImageFolderDataModule, init_args: {root: pictures, size_px: 32, batch_size: 8}}
"""


def card(run: Path = RUN) -> dict[str, Any]:
    content = json.loads((run / "card.json").read_text())
    assert isinstance(content, dict)
    return content


def evaluation(split: str, run: Path = RUN) -> dict[str, Any]:
    content = json.loads((run / f"evaluation/{split}.json").read_text())
    assert isinstance(content, dict)
    return content


def rows_of(run: Path = RUN) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def _every_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tlearn.reporting.evaluation_figures._TIME_SHARE", 1e9)


@pytest.fixture
def _ctrl_c_in_the_second_epoch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Press Ctrl-C before the second epoch's first step; Lightning ignores the signal for the rest of the process."""
    step = TransferModule.training_step

    def pressed(self: TransferModule, batch: Any, batch_idx: int) -> torch.Tensor:
        if self.current_epoch == 1:
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    monkeypatch.setattr(TransferModule, "training_step", pressed)
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.pictures
def test_card_of_fit_and_test(tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, "--trainer.max_epochs", "3", "--model.freeze_until", "stem")
    assert answer.code == 0
    assert re.search(f"^report +{RUN}/report.html$", answer.out, re.M)
    found = card()
    assert (found["status"], found["name"], found["version"]) == ("finished", "small", 0)
    assert found["command"] == f"tlearn fit -c {small} --trainer.max_epochs 3 --model.freeze_until stem"
    assert found["epochs"] == {"done": 3, "planned": 3}
    checkpoint = torch.load(RUN / "checkpoints/best.ckpt", weights_only=True)
    assert found["best"]["epoch"] == checkpoint["epoch"] + 1 == evaluation("val")["epoch"]
    assert found["temperature"] == checkpoint["tlearn"]["temperature"] == evaluation("val")["temperature"]
    matrix = torch.tensor(evaluation("val")["confusion"])
    assert float(matrix.trace() / matrix.sum()) == pytest.approx(found["best"]["value"])
    assert found["best"]["metrics"]["val/acc"] == pytest.approx(found["best"]["value"])
    assert found["best"]["metrics"]["val/temperature"] == pytest.approx(found["temperature"])
    assert found["audit"] == {"frozen_tensors": 6, "epochs_checked": 3, "result": "unchanged"}
    assert found["data"]["splits"]["train"] == {"images": 24, "classes": {"0": 8, "1": 8, "2": 8}}
    assert found["model"]["lr"] == 0.01
    assert found["environment"]["seed"] == 0
    assert "test" not in found["data"]["splits"]
    assert found["test"] is None

    assert tlearn("test", "--ckpt_path", "best", "-c", small).code == 0
    after = card()
    assert after["best"] == found["best"]
    assert after["test"]["checkpoint"] == "checkpoints/best.ckpt"
    (tested,) = [row for row in rows_of() if row["test/acc"]]
    assert after["test"]["metrics"]["test/acc"] == pytest.approx(float(tested["test/acc"]))
    assert after["data"]["splits"]["test"]["images"] == evaluation("test")["images"]
    with (RUN / "evaluation/test_confusion.csv").open(newline="") as file:
        head, *body = csv.reader(file)
    assert head == ["true \\ predicted", "0", "1", "2"]
    assert [[int(cell) for cell in row[1:]] for row in body] == evaluation("test")["confusion"]
    with (RUN / "evaluation/test_per_class.csv").open(newline="") as file:
        classes = list(csv.DictReader(file))
    counts = [sum(row) for row in evaluation("test")["confusion"]]
    assert [int(row["images"]) for row in classes] == counts
    log, tested_log = (EventAccumulator(str(folder)).Reload() for folder in (RUN, RUN / "test"))
    step = checkpoint["global_step"] - 1
    assert not [tag for kind in ("scalars", "images") for tag in log.Tags()[kind] if tag.startswith("test/")]
    assert [point.step for point in tested_log.Scalars("test/acc")] == [step]
    assert tested_log.Scalars("epoch")[-1].value == checkpoint["epoch"]
    assert [picture.step for picture in tested_log.Images("test/confusion_matrix")] == [step]
    page = Page((RUN / "report.html").read_text()).text
    for text in ("Validation", "Test", f"{100 * after['test']['metrics']['test/acc']:.1f}", "fit -c"):
        assert text in page
    assert "| test accuracy |" in (RUN / "card.md").read_text()
    text = log.Tags()["tensors"]
    assert {f"run/{name}/text_summary" for name in ("parameters", "freeze_plan", "data", "card")} <= set(text)


def test_curves_go_on_after_a_resume(tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "-c", small).code == 0
    before, first = rows_of(), card()
    assert tlearn("test", "-c", small, "--ckpt_path", "best").code == 0
    assert tlearn("fit", "--ckpt_path", "last", "-c", small, "--trainer.max_epochs", "4").code == 0
    epochs = [int(row["epoch"]) for row in rows_of() if row["val/acc"]]
    assert epochs == [0, 1, 2, 3]
    assert [row["val/loss"] for row in rows_of()][: len(before)] == [row["val/loss"] for row in before]
    resumed = card()
    assert resumed["epochs"] == {"done": 4, "planned": 4}
    assert resumed["started"] == first["started"]
    assert resumed["time_s"] > first["time_s"]
    assert resumed["command"] == first["command"]
    assert resumed["continued"] == [f"tlearn fit --ckpt_path last -c {small} --trainer.max_epochs 4"]
    best = torch.load(RUN / "checkpoints/best.ckpt", weights_only=True)["epoch"] + 1
    assert card()["best"]["epoch"] == evaluation("val")["epoch"] == best > 2
    assert card()["test"] is None  # what was tested is the best no longer
    assert not (RUN / "evaluation/test.json").exists()


@pytest.mark.usefixtures("_ctrl_c_in_the_second_epoch")
def test_ctrl_c_leaves_a_card(tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, "--trainer.max_epochs", "5")
    assert answer.code == 130
    assert f"to go on: tlearn fit --ckpt_path {RUN}/checkpoints/last.ckpt" in answer.out
    assert f"report: {RUN}/report.html" in answer.out
    assert card()["status"] == "interrupted"
    assert card()["epochs"] == {"done": 1, "planned": 5}
    assert evaluation("val")["epoch"] == 1
    assert "interrupted" in (RUN / "report.html").read_text()
    assert "interrupted" in (RUN / "card.md").read_text()


def test_a_fault_is_on_the_card(tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TransferModule, "training_loss", lambda *_: 1 / 0)
    assert tlearn("fit", "-c", small, "--trainer.num_sanity_val_steps", "0").code == 1
    assert card()["status"] == "failed: division by zero"
    assert card()["best"] is None


@pytest.mark.pictures
@pytest.mark.usefixtures("_every_picture")
def test_a_folder_of_pictures(tlearn: Tlearn, tmp_path: Path) -> None:
    write_splits(tmp_path / "pictures")
    shutil.copy("pictures/train/cat/cat000.png", "pictures/train/cat/again.png")
    shutil.copy("pictures/val/cat/cat500.png", "pictures/val/dog/=1+1.png")
    Path("mine.yaml").write_text(FOLDER)
    assert tlearn("fit", "-c", "mine.yaml", "--trainer.max_epochs", "1").code == 0
    run = Path("runs/mine/version_0")
    found = {each["what"].split(":")[0] for each in card(run)["doctor"]["findings"]}
    assert "1 picture under two labels" in found
    assert "1 picture more than once in a split" in found
    worst = evaluation("val", run)["worst"]
    assert worst
    for each in worst:
        assert (Path("pictures") / each["name"]).is_file()
        assert each["true"] == Path(each["name"]).parent.name != each["predicted"]
        assert each["picture"].startswith("data:image/jpeg;base64,")
    probabilities = [each["probability"] for each in worst]
    assert probabilities == sorted(probabilities, reverse=True)
    tags = EventAccumulator(str(run)).Reload().Tags()
    assert "val/grad_cam" in tags["images"]
    with Image.open(run / "projector/val_features/sprite.png") as sprite:
        assert sprite.size == (4 * 32, 4 * 32)
    labels = (run / "projector/val_features/metadata.tsv").read_text().split()
    assert sorted(labels) == sorted(["cat"] * 4 + ["dog"] * 5 + ["eel"] * 4)


@pytest.mark.pictures
@pytest.mark.usefixtures("_every_picture")
@pytest.mark.parametrize(
    ("task", "pictures"),
    [
        ("multilabel", {"per_class", "reliability", "worst_mistakes", "grad_cam"}),
        ("regression", {"scatter", "worst_mistakes", "grad_cam"}),
    ],
)
def test_other_tasks(tlearn: Tlearn, tmp_path: Path, task: str, pictures: set[str]) -> None:
    table = write_table(tmp_path)
    lines = table.read_text().split("\n")[1:]
    values = {"cat": "1.5", "dog": "2.5", "eel": "4"} if task == "regression" else {"cat": "cat;dog"}
    rows = [f"{path},{values.get(label, label)}" for path, label in (line.split(",") for line in lines)]
    table.write_text("\n".join(["path,label", *rows]))
    config = FOLDER.replace("ImageFolder", "ImageTable").replace("root: pictures", f"table: table.csv, task: {task}")
    Path("mine.yaml").write_text(config)
    assert tlearn("fit", "-c", "mine.yaml", "--data.val_fraction", "0.5", "--trainer.max_epochs", "1").code == 0
    run = Path("runs/mine/version_0")
    tags = set(EventAccumulator(str(run)).Reload().Tags()["images"])
    assert tags == {"data/train", "data/val", *(f"val/{name}" for name in pictures)}
    found = evaluation("val", run)
    assert found["images"] == 12
    if task == "regression":
        assert len(found["scatter"]) == 12
        assert card(run)["temperature"] == 1
        errors = [abs(each["error"]) for each in found["worst"]]
        assert errors == sorted(errors, reverse=True)
    else:
        assert [each["name"] for each in found["per_class"]] == ["cat", "dog", "eel"]
        assert found["calibration"]["after"]["bins"]


@pytest.mark.pictures
def test_pictures_between_first_and_last_wait_for_time(
    tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tlearn.reporting.evaluation_figures._TIME_SHARE", 0.0)
    assert tlearn("fit", "-c", small, "--trainer.max_epochs", "4").code == 0
    log = EventAccumulator(str(RUN)).Reload()
    for name in ("confusion_matrix", "per_class", "worst_mistakes", "reliability", "grad_cam"):
        assert [picture.step for picture in log.Images(f"val/{name}")] == [2, 11], name
    assert len(log.Scalars("val/ece")) == len(log.Scalars("val/temperature")) == 4
    assert len(log.Tensors("val/pr/0")) == 2


def test_gradient_norm_is_that_of_the_gradients(tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    norms: list[float] = []
    step = torch.optim.SGD.step

    def noting(self: torch.optim.SGD, closure: Any = None) -> Any:
        closure()
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        norms.append(float(torch.cat([gradient.flatten() for gradient in gradients]).norm()))
        return step(self, None)

    monkeypatch.setattr(torch.optim.SGD, "step", noting)
    options = ["--trainer.log_every_n_steps", "1", "--trainer.gradient_clip_val", "1e9"]
    assert tlearn("fit", "-c", small, "--trainer.max_epochs", "1", *options).code == 0
    logged = [point.value for point in EventAccumulator(str(RUN)).Reload().Scalars("train/grad_norm")]
    assert logged == pytest.approx(norms, rel=1e-4)


@pytest.mark.pictures
def test_weight_histograms_are_there_where_asked_for(tlearn: Tlearn, small: str) -> None:
    asked = "--trainer.callbacks+=tlearn.reporting.WeightHistogramsCallback"
    assert tlearn("fit", "-c", small, asked, "--model.freeze_until", "stem").code == 0
    log = EventAccumulator(str(RUN), size_guidance={"histograms": 0}).Reload()
    names = log.Tags()["histograms"]
    assert not any("conv1" in name and "layer" not in name for name in names)
    (head,) = (name for name in names if name.startswith("weights/head.") and name.endswith("weight"))
    assert [found.step for found in log.Histograms(head)] == [2, 5]


def test_another_logger_is_one_more_place(tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "-c", small, "--trainer.logger", "CSVLogger", "--trainer.logger.save_dir", "logs").code == 0
    (more,) = Path("logs").glob("*/version_0")
    folder = Path("runs/small/version_0")
    for place in (folder, more):
        assert [int(row["epoch"]) for row in rows_of(place) if row["val/acc"]] == [0, 1]
    assert card(folder)["status"] == "finished"
    assert list(folder.glob("events.out.tfevents.*"))
    assert not (more / "checkpoints").exists()
    assert tlearn("test", "-c", small, "--ckpt_path", "best").code == 0
    assert card(folder)["test"]["checkpoint"] == "checkpoints/best.ckpt"
    last = str(folder / "checkpoints/last.ckpt")
    with (folder / "metrics.csv").open("a") as file:
        file.write("1,0.5")  # killed while it wrote
    assert tlearn("fit", "--ckpt_path", last, "--trainer.max_epochs", "3").code == 0
    assert [int(row["epoch"]) for row in rows_of(folder) if row["val/acc"]] == [0, 1, 2]
    assert tlearn("fit", "-c", small, "--trainer.logger", "false").code == 0
    run = Path("runs/small/version_1")
    assert card(run)["status"] == "finished"
    assert not (run / "metrics.csv").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the logger's own package
@pytest.mark.parametrize(
    ("package", "words", "left"),
    [
        ("wandb", ["WandbLogger", "--trainer.logger.project", "mine", "--trainer.logger.name", "first"], "wandb"),
        ("mlflow", ["MLFlowLogger", "--trainer.logger.tracking_uri", "sqlite:///mlflow.db"], "mlflow.db"),
    ],
)
def test_weights_and_biases_and_mlflow_are_one_more_place_offline(
    package: str, words: list[str], left: str, tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(package)
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert tlearn("fit", "-c", small, "--trainer.logger", *words).code == 0
    assert Path(left).exists()
    assert card()["status"] == "finished"
    assert [int(row["epoch"]) for row in rows_of() if row["val/acc"]] == [0, 1]
    assert tlearn("test", "-c", small, "--ckpt_path", "best").code == 0


def test_validating_leaves_the_curves_alone(tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "-c", small).code == 0
    before = rows_of()
    assert tlearn("validate", "-c", small, "--ckpt_path", "best", "--trainer.limit_val_batches", "1").code == 0
    assert rows_of() == before


@pytest.mark.pictures
def test_several_validations_an_epoch_end_with_pictures_of_the_last(tlearn: Tlearn, small: str) -> None:
    words = ["--trainer.max_epochs", "1", "--trainer.val_check_interval", "2", "--data.batch_size", "4"]
    assert tlearn("fit", "-c", small, *words).code == 0
    log = EventAccumulator(str(RUN)).Reload()
    for name in ("confusion_matrix", "worst_mistakes", "grad_cam"):
        assert log.Images(f"val/{name}")[-1].step == 5, name


@pytest.mark.pictures
def test_a_page_that_fails_takes_nothing_along(tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tlearn.reporting.evaluation_figures.confusion_figure", lambda _: 1 / 0)
    answer = tlearn("fit", "-c", small, "--trainer.max_epochs", "1")
    assert answer.code == 0
    assert "the page val/confusion_matrix is missing: ZeroDivisionError: division by zero" in answer.err
    assert card()["status"] == "finished"


@pytest.mark.parametrize(("epoch_s", "confusions", "reliabilities"), [(26, 8, 0), (200, 19, 19)])
def test_pictures_take_one_percent_of_the_time(
    monkeypatch: pytest.MonkeyPatch, epoch_s: float, confusions: int, reliabilities: int
) -> None:
    """Played with a clock of its own: the confusion matrix comes first, and cheaper pages do not keep it waiting."""
    now_s, took_s = [0.0], {"pr": 0.02, "confusion_matrix": 0.3, "per_class": 0.18, "reliability": 0.3}
    drawn: list[str] = []

    def draw(name: str) -> None:
        now_s[0] += took_s[name]
        drawn.append(name)

    pages = [(name, partial(draw, name)) for name in took_s]
    monkeypatch.setattr("tlearn.reporting.evaluation_figures._pages", lambda *_: pages)
    monkeypatch.setattr("tlearn.reporting.evaluation_figures.takes_pictures", lambda _: True)
    monkeypatch.setattr("tlearn.reporting.evaluation_figures.time.perf_counter", lambda: now_s[0])
    callback = EvaluationPagesCallback()
    answers = SimpleNamespace(outputs=SimpleNamespace(epoch=1, split="val"))
    monkeypatch.setattr(callback, "_answers", lambda _: answers)
    trainer: Any = SimpleNamespace(
        sanity_checking=False, state=SimpleNamespace(fn="fit"), lightning_module=TransferModule(2, weights=None)
    )
    for _ in range(20):
        now_s[0] += epoch_s
        callback.on_validation_end(trainer, trainer.lightning_module)
    after_the_first = drawn[len(took_s) :]
    assert sum(took_s[name] for name in after_the_first) <= 0.01 * now_s[0]
    assert after_the_first.count("confusion_matrix") >= confusions
    assert after_the_first.count("reliability") == reliabilities
