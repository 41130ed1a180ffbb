"""Regression in the user's unit: the same data in other units train alike, and answers come in the table's unit."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from torch import Tensor, nn

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import CONFIG
from tlearn import load
from tlearn.base.errors import TlearnError
from tlearn.deploy.check import examples_from_folders
from tlearn.deploy.export import export_network
from tlearn.deploy.loading import load_module
from tlearn.deploy.state_file import rebuild
from tlearn.models.target_unit import AS_IT_IS, TargetUnit, change_unit, unit_of
from tlearn.training.module import TransferModule

COUNT = 30  # a third validates
UNITS: dict[str, Callable[[float], float]] = {
    "shares": lambda share: share,
    "euros": lambda share: 100_000 + 800_000 * share,
    "shifted": lambda share: 3e6 + 1e6 * share,
    "cents": lambda share: 1e-6 * share - 1e-5,
}
GENTLE = ("--trainer.max_epochs", "3", "--model.optimizer.lr", "0.001", "--model.batch_norm", "fixed")
RUN = "runs/table/version_0"


def shares() -> list[float]:
    return [float(np.random.default_rng(number).uniform()) for number in range(COUNT)]


@pytest.fixture(autouse=True)
def _pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar whose height is the share, and whose width is another one; ``table.yaml`` regresses the height."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for number, share in enumerate(shares()):
        pixels = np.full((32, 32, 3), 60, np.uint8)
        pixels[32 - int(4 + 24 * share) :, 16 - number % 5 * 3 : 16 + number % 5 * 3 + 2] = (220, 200, 90)
        Image.fromarray(pixels).save(f"photos/{number:02d}.png")
    write(lambda share: share)


def write(unit: Callable[[float], float], label: str = "label") -> list[float]:
    """Write ``t.csv`` with the columns height, in this unit, and width, in mm."""
    values = [unit(share) for share in shares()]
    with Path("t.csv").open("w", newline="") as file:
        splits = ["train" if number < COUNT * 2 // 3 else "val" for number in range(COUNT)]
        rows = [
            (f"photos/{n:02d}.png", repr(value), 1000 + n % 5, split)
            for n, (value, split) in enumerate(zip(values, splits, strict=True))
        ]
        csv.writer(file).writerows([("path", "label", "width", "split"), *rows])
    config = CONFIG.replace("ImageFolderDataModule", "ImageTableDataModule")
    inside = f"table: t.csv, task: regression, label_column: {label}"
    Path("table.yaml").write_text(config.replace("root: pictures", inside))
    return values


def logged(out: str, epoch: int = -1) -> dict[str, float]:
    """Loss and error of an epoch, by the names that metrics.csv has."""
    line = re.findall(r"^epoch \d+/\d+ .*", out, flags=re.M)[epoch]
    splits = re.findall(r"(train|val) loss ([\d.]+) mae ([\d.]+)", line)
    losses = {f"{split}/loss": float(loss) for split, loss, _ in splits}
    return losses | {f"{split}/mae": float(error) for split, _, error in splits}


def metrics_of(run: str = RUN) -> dict[str, float]:
    """The last value of every metric."""
    found: dict[str, float] = {}
    with Path(run, "metrics.csv").open() as file:
        for row in csv.DictReader(file):
            found |= {name: float(value) for name, value in row.items() if value}
    return found


PATHS = {
    "sgd": GENTLE,
    "ridge": ("--model.freeze_backbone", "true", "--model.head_solver", "ridge", "--trainer.max_epochs", "1"),
    "tap": ("--model.tap", "[stem,layer1]", *GENTLE),
    "probe": (
        "--model.head_init",
        "probe",
        "--model.wise_ft",
        "true",
        "--trainer.max_epochs",
        "2",
        "--model.optimizer.lr",
        "1e-6",
    ),
}


@pytest.mark.parametrize("path", PATHS)
def test_every_unit_trains_alike(tlearn: Tlearn, path: str) -> None:
    """R2 and the standardised loss are the same, errors are in the unit, by training, solving, tapping and LP-FT."""
    found = {}
    for name, unit in UNITS.items() if path in ("sgd", "ridge") else list(UNITS.items())[:2]:
        write(unit)
        answer = tlearn("fit", "--config", "table.yaml", *PATHS[path], "--trainer.default_root_dir", name)
        assert answer.code == 0, answer.err
        found[name] = metrics_of(f"{name}/table/version_0")
        if path == "probe":
            found[name]["wise"] = float(re.findall(r"wise_ft: .* val/loss ([\d.]+)", answer.out)[0])
    size = {name: UNITS[name](1) - UNITS[name](0) for name in found}
    for name, metrics in found.items():
        assert metrics["val/r2"] == pytest.approx(found["shares"]["val/r2"], abs=2e-3), name
        assert metrics["val/loss"] == pytest.approx(found["shares"]["val/loss"], rel=5e-3)
        for error in ("val/mae", "val/rmse", "train/mae"):
            assert metrics[error] / size[name] == pytest.approx(found["shares"][error], rel=5e-3)
        assert metrics.get("wise", 0) == pytest.approx(found["shares"].get("wise", 0), rel=5e-3, abs=1e-4)


def test_answers_are_in_the_unit_by_every_door(tlearn: Tlearn) -> None:
    """Metrics are scikit-learn's of what predict, load and each export answer."""
    values = write(UNITS["euros"])
    assert tlearn("fit", "--config", "table.yaml", *GENTLE).code == 0
    best = next(Path(RUN, "checkpoints").glob("best.ckpt"))
    about = torch.load(best, weights_only=True)["tlearn"]["unit"]
    assert about == [[pytest.approx(np.mean(values[:20]))], [pytest.approx(np.std(values[:20]))]]
    predictor = load(RUN)
    paths = [f"photos/{number:02d}.png" for number in range(20, COUNT)]
    given = [each.value for each in predictor.predict(paths)]
    assert all(50_000 < value < 950_000 for value in given if value is not None)
    assert tlearn("predict", "--ckpt_path", RUN, "--data", "photos", "--out", "p.csv").code == 0
    with Path("p.csv").open() as file:
        rows = {Path(row["path"]).name: float(row["value"]) for row in csv.DictReader(file)}
    assert [rows[Path(path).name] for path in paths] == pytest.approx(given, rel=1e-5)
    result = tlearn("validate", "--ckpt_path", RUN).result
    measured = {name: value.partition(",")[0] for name, value in result.items()}
    true = values[20:]
    assert float(measured["mean absolute error"]) == pytest.approx(mean_absolute_error(true, given), rel=1e-4)
    error = root_mean_squared_error(true, given)
    assert float(measured["root mean squared error"]) == pytest.approx(error, rel=1e-4)
    assert float(measured["R\N{SUPERSCRIPT TWO}"]) == pytest.approx(r2_score(true, given), abs=1e-4)
    export_network(
        load_module(best), Path("net.safetensors"), examples_from_folders([Path("photos")], predictor.framing)
    )
    again = rebuild("net.safetensors")
    assert again.unit == AS_IT_IS
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        torch.testing.assert_close(again.answer(pixels), predictor.module.answer(pixels), rtol=1e-5, atol=1)
    assert tlearn("test", "--ckpt_path", RUN, "--data.init_args.split_column", "split").code == 2  # no test rows
    scatter = json.loads(Path(RUN, "evaluation/val.json").read_text())["scatter"]
    assert sorted(pair[0] for pair in scatter) == pytest.approx(sorted(true), rel=1e-5)


@pytest.mark.slow
def test_an_onnx_file_answers_in_the_unit(tlearn: Tlearn) -> None:
    pytest.importorskip("onnxruntime")
    write(UNITS["euros"], label="[label, width]")
    assert tlearn("fit", "--config", "table.yaml", *GENTLE).code == 0
    answer = tlearn("export", "--ckpt_path", RUN, "--out", "net.onnx")
    assert answer.code == 0, answer.err
    from tlearn.deploy.onnx_file import open_onnx

    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        wanted = load(RUN).module.answer(pixels)
    torch.testing.assert_close(open_onnx(Path("net.onnx"))(pixels), wanted, rtol=1e-4, atol=1)


def test_several_columns(tlearn: Tlearn) -> None:
    """Each has a metric and an answer of its own name; plain ones are their means."""
    values = write(UNITS["euros"], label="[label, width]")
    answer = tlearn("fit", "--config", "table.yaml", *GENTLE)
    assert answer.code == 0, answer.err
    found = metrics_of()
    for name in ("val/mae", "val/rmse", "val/r2", "train/mae"):
        each = [found[f"{name}_label"], found[f"{name}_width"]]
        assert found[name] == pytest.approx(np.mean(each), rel=1e-5)
    assert found["val/mae_label"] > 1000
    assert found["val/mae_width"] < 10
    given = load(RUN).predict([f"photos/{number:02d}.png" for number in range(20, COUNT)])
    assert (given[0].value, list(given[0].values)) == (None, ["label", "width"])
    assert tlearn("predict", "--ckpt_path", RUN, "--data", "photos", "--out", "p.csv").code == 0
    with Path("p.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "value_label", "value_width", "stranger", "error"]
    assert float(rows[20]["value_label"]) == pytest.approx(given[0].values["label"], rel=1e-5)
    assert float(rows[20]["value_width"]) == pytest.approx(given[0].values["width"], rel=1e-5)
    measured = tlearn("validate", "--ckpt_path", RUN).result["mean absolute error, label"]
    assert measured.endswith(", in the unit of the values")
    mae = float(measured.partition(",")[0])
    assert mae == pytest.approx(mean_absolute_error(values[20:], [each.values["label"] for each in given]), rel=1e-4)
    worst = json.loads(Path(RUN, "evaluation/val.json").read_text())["worst"][0]
    assert re.fullmatch(r"label [\d.]+, width 100\d", worst["true"])
    assert "2 columns: label, width." in Path(RUN, "card.md").read_text()
    monitored = ("--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=val/mae_width")
    assert tlearn("fit", "--config", "table.yaml", "--trainer.max_epochs", "1", *monitored).code == 0


def test_an_average_that_has_not_begun_is_the_network_of_the_first_step(tlearn: Tlearn) -> None:
    """Its copy is older than the unit and the solved head."""
    assert tlearn("fit", "--config", "table.yaml", *PATHS["ridge"]).code == 0
    known = metrics_of()["val/mae"]
    late = ("--trainer.callbacks+=EMAWeightAveraging", "--trainer.callbacks.update_starting_at_step=999")
    still = ("--trainer.max_epochs", "1", "--model.freeze_backbone", "true", "--model.optimizer.lr", "1e-9", *late)
    for version, start in enumerate([("--model.weights", f"{RUN}/checkpoints/best.ckpt"), PATHS["probe"][:2]], 1):
        answer = tlearn("fit", "--config", "table.yaml", *start, *still)
        assert answer.code == 0, answer.err
        assert metrics_of(RUN.replace("_0", f"_{version}"))["val/mae"] == pytest.approx(known, rel=1e-3)


def test_several_columns_of_one_validation_image(tlearn: Tlearn) -> None:
    """One image has no spread; its page is there all the same."""
    write(UNITS["euros"], label="[label, width]")
    lines = Path("t.csv").read_text().splitlines()
    Path("t.csv").write_text("\n".join(lines[: 2 + COUNT * 2 // 3]))
    answer = tlearn("fit", "--config", "table.yaml", *GENTLE, "--trainer.max_epochs", "1")
    assert answer.code == 0, answer.err
    assert "is missing" not in answer.out + answer.err
    assert len(json.loads(Path(RUN, "evaluation/val.json").read_text())["worst"]) == 1


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (lambda share: 7.0, "the value is 7 in all 20 training images: a constant cannot be learned"),
        (
            lambda share: 1.7e9 + 100 * share,
            r"float32 tells apart 2e\+02 there: subtract 1\.7e\+09 from it in the data",
        ),
    ],
)
def test_values_that_cannot_be_learned_are_refused(tlearn: Tlearn, unit: Any, message: str) -> None:
    write(unit)
    answer = tlearn("fit", "--config", "table.yaml")
    assert answer.code == 2
    assert re.search(message, answer.err)
    assert tlearn("doctor", "--config", "table.yaml").code == 2  # as fit
    (finding,) = (f for f in json.loads(Path("doctor.json").read_text())["findings"] if f["kind"] == "values")
    assert re.search(message, finding["what"])
    write(unit, label="[width, label]")
    assert re.search(message.replace("the value", "label"), tlearn("fit", "--config", "table.yaml").err)


def test_a_checkpoint_without_a_unit_answers_as_before(tlearn: Tlearn) -> None:
    write(UNITS["euros"])
    assert tlearn("fit", "--config", "table.yaml", *GENTLE).code == 0
    best = Path(RUN, "checkpoints/best.ckpt")
    content = torch.load(best, weights_only=True)
    del content["tlearn"]["unit"]
    torch.save(content, "old.ckpt")
    old, new = load("old.ckpt").module, load(RUN).module
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.equal(old.answer(pixels), old(pixels))
        assert torch.equal(new.answer(pixels), new.unit.restored(old(pixels)))


def test_weights_of_another_unit_go_on_with_the_same_answers(tlearn: Tlearn) -> None:
    """A head that was trained in euros answers in euros when the next data are in millions, to begin with."""
    write(UNITS["euros"])
    assert tlearn("fit", "--config", "table.yaml", *GENTLE).code == 0
    before = [each.value for each in load(RUN).predict(["photos/00.png", "photos/07.png"])]
    write(UNITS["shifted"])
    still = (
        "--model.weights",
        f"{RUN}/checkpoints/best.ckpt",
        "--model.optimizer.lr",
        "1e-20",
        "--model.batch_norm",
        "fixed",
    )
    answer = tlearn("fit", "--config", "table.yaml", *still, "--trainer.default_root_dir", "next")
    assert answer.code == 0, answer.err
    after = load("next/table/version_0")
    assert after.module.unit.mean[0] > 3e6
    assert [each.value for each in after.predict(["photos/00.png", "photos/07.png"])] == pytest.approx(before, rel=1e-4)


def test_a_resumed_run_keeps_its_unit(tlearn: Tlearn) -> None:
    write(UNITS["euros"])
    words = ("fit", "--config", "table.yaml", "--model.optimizer.lr", "0.01")
    assert tlearn(*words, "--trainer.max_epochs", "2", "--trainer.default_root_dir", "whole").code == 0
    assert tlearn(*words, "--trainer.max_epochs", "1").code == 0
    answer = tlearn(*words, "--trainer.max_epochs", "2", "--ckpt_path", f"{RUN}/checkpoints/last.ckpt")
    assert answer.code == 0, answer.err
    whole, parts = (
        torch.load(Path(run, "checkpoints/last.ckpt"), weights_only=True)
        for run in ("whole/table/version_0", sorted(Path("runs/table").iterdir())[-1])
    )
    assert whole["tlearn"]["unit"] == parts["tlearn"]["unit"]
    assert all(torch.equal(value, parts["state_dict"][name]) for name, value in whole["state_dict"].items())


@pytest.mark.parametrize("words", [("--trainer.fast_dev_run", "1"), ("--trainer.limit_train_batches", "1")])
def test_the_unit_is_that_of_all_training_images(
    tlearn: Tlearn, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    values = write(UNITS["euros"])
    seen: list[TargetUnit] = []
    was = TransferModule.answer_in

    def noted(module: TransferModule, unit: TargetUnit) -> None:
        seen.append(unit)
        was(module, unit)

    monkeypatch.setattr(TransferModule, "answer_in", noted)
    assert tlearn("fit", "--config", "table.yaml", *words).code == 0
    assert seen[-1].mean[0] == pytest.approx(np.mean(values[:20]))


def test_probe_and_advice_do_not_depend_on_the_unit(tlearn: Tlearn) -> None:
    found = {}
    for name in ("shares", "shifted"):
        write(UNITS[name])
        assert tlearn("probe", "--config", "table.yaml", "--out", f"{name}.json").code == 0
        found[name] = json.loads(Path(f"{name}.json").read_text())["best"]
    for score in ("ridge", "left_out", "neighbours"):
        assert found["shifted"][score] == pytest.approx(found["shares"][score], abs=1e-3)


def test_change_unit_keeps_what_is_answered() -> None:
    head = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))
    features = torch.randn(7, 5)
    old, new = TargetUnit((3.0, -1.0), (2.0, 10.0)), TargetUnit((100.0, 5.0), (7.0, 0.1))
    before = old.restored(head(features))
    for unit, following in ((old, new), (new, AS_IT_IS), (AS_IT_IS, old)):
        change_unit(head, unit, following)
        torch.testing.assert_close(following.restored(head(features)), before, rtol=1e-4, atol=1e-3)
    values = Tensor([[1.0, 5.0], [3.0, 9.0]])
    unit = unit_of(values, ["a", "b"])
    assert unit == TargetUnit((2.0, 7.0), (1.0, 2.0))
    assert unit.standardised(values).tolist() == [[-1, -1], [1, 1]]
    with pytest.raises(TlearnError, match=r"^b is 5 in all 2 training images"):
        unit_of(Tensor([[1.0, 5.0], [3.0, 5.0]]), ["a", "b"])
