"""`tlearn.fit`, `validate`, `test` and `predict` from Python: typed results, `TlearnError`, nothing left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import tlearn
from tests.conftest import SMALL
from tests.helpers.fake_pictures import write_flat, write_splits
from tests.helpers.process_state import state
from tlearn.cli.trusted_names import _load  # the loader that jsonargparse has before tlearn changes it

CONFIG: dict[str, Any] = yaml.safe_load(SMALL)
ONE_EPOCH = {"trainer.max_epochs": 1}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_whole_way_from_a_mapping(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = state()
    run = tlearn.fit(CONFIG, {"trainer.max_epochs": 3, "model.optimizer.lr": 0.02})
    assert run.folder == Path("runs/default/version_0")
    assert run.status == "finished"
    assert run.checkpoint == run.folder / "checkpoints" / "best.ckpt"
    made = yaml.safe_load((run.folder / "config.yaml").read_text())
    assert (made["trainer"]["max_epochs"], made["model"]["optimizer"]["init_args"]["lr"]) == (3, 0.02)
    validated = tlearn.validate(CONFIG)
    assert validated.checkpoint == run.checkpoint.absolute()
    assert validated.metrics["val/acc"] == pytest.approx(run.metrics["val/acc"])
    assert {"train/loss", "val/loss"} <= set(run.metrics)
    tested = tlearn.test(ckpt_path=run.folder)
    assert set(tested.metrics) >= {"test/acc", "test/loss"}
    assert tested.folder == run.folder.absolute()
    predicted = tlearn.predict(ckpt_path=run.checkpoint, out="p.csv", top_k=2)
    assert predicted.path == Path("p.csv")
    assert list(predicted.rows[0]) == ["index", "class", "probability", "class_2", "probability_2", "stranger", "error"]
    assert predicted.count == len(predicted.rows)
    assert [type(cell) for cell in predicted.rows[0].values()] == [int, str, float, str, float, float, type(None)]
    assert run.predictor.class_names == ["0", "1", "2"]
    assert "Traceback" not in capfd.readouterr().err
    assert state() == before


def test_the_same_as_the_command_line(tmp_path: Path) -> None:
    Path("small.yaml").write_text(SMALL)
    run = tlearn.fit("small.yaml", ONE_EPOCH)
    assert tlearn.main(["fit", "--config", "small.yaml", "--trainer.max_epochs", "1"]) == 0
    first, second = (torch.load(f"runs/small/version_{n}/checkpoints/last.ckpt") for n in (0, 1))
    assert run.folder == Path("runs/small/version_0")
    assert all(torch.equal(value, second["state_dict"][name]) for name, value in first["state_dict"].items())
    configs = [Path(f"runs/small/version_{n}/config.yaml").read_text() for n in (0, 1)]
    assert configs[0] == configs[1]


def test_it_resumes(tmp_path: Path) -> None:
    first = tlearn.fit(CONFIG, ONE_EPOCH)
    assert first.folder is not None
    again = tlearn.fit(options={"trainer.max_epochs": 2}, ckpt_path=first.folder)
    assert again.folder is not None
    assert again.folder.absolute() == first.folder.absolute()
    with pytest.raises(tlearn.TlearnError, match="has 2 epochs behind it, none is left"):
        tlearn.fit(ckpt_path=first.folder)


def test_predictions_for_files(tmp_path: Path) -> None:
    write_splits(tmp_path / "pictures")
    data = {"class_path": "ImageFolderDataModule", "init_args": {"root": tmp_path / "pictures", "batch_size": 8}}
    run = tlearn.fit({**CONFIG, "data": data, "model": {**CONFIG["model"], "image_size": 16}}, ONE_EPOCH)
    assert run.checkpoint is not None
    paths = write_flat(tmp_path / "photos")
    (tmp_path / "photos" / "=z.png").write_bytes(b"no picture")
    found = tlearn.predict(ckpt_path=run.checkpoint, data=[tmp_path / "photos" / "=z.png", *paths], out="p.csv")
    assert (found.count, found.unreadable) == (len(paths) + 1, 1)
    assert {Path(row["path"]).name for row in found.rows} == {path.name for path in (*paths, Path("=z.png"))}


@pytest.mark.parametrize(
    ("config", "options", "said"),
    [
        ({**CONFIG, "modle": {"tap": 1}}, {}, "unknown option modle.tap in the config; did you mean model.tap"),
        (CONFIG, {"model.tap": "layer9"}, "layer9"),
        (CONFIG, {"model.tapp": "layer1"}, "unknown option model.tapp in options; did you mean model.tap?"),
        (CONFIG, {"trainer.max_epochs": "many"}, "trainer.max_epochs in options: expected int or null, got many"),
        (CONFIG, {"trainer.callbacks": object()}, "trainer.callbacks: expected text, numbers, true or false, None"),
        ("nothing.yaml", {}, "unknown config 'nothing.yaml'"),
        (CONFIG, {"print_config": ""}, "options that print something and end are for the command line"),
    ],
)
def test_a_fault_is_one_error(
    config: Any, options: dict[str, Any], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = state()
    with pytest.raises(tlearn.TlearnError, match=said) as caught:
        tlearn.fit(config, options)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in capfd.readouterr().err
    assert state() == before


def test_nothing_is_left_behind_by_the_command_line() -> None:
    Path("small.yaml").write_text(SMALL)
    before = state()
    assert tlearn.main(["fit", "--config", "small.yaml", "--trainer.max_epochs", "1"]) == 0
    assert tlearn.main(["fit", "--config", "small.yaml", "--trainer.max_epochs", "x"]) == 2
    assert state() == before
    assert before["loader"] is _load


def test_ctrl_c_is_a_keyboard_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    before = state()
    monkeypatch.setattr("tlearn.TransferModule.on_train_epoch_end", interrupted, raising=False)
    with pytest.raises(KeyboardInterrupt):
        tlearn.fit(CONFIG)
    assert state() == before


def test_pytest_does_not_collect_the_verb() -> None:
    assert tlearn.test.__test__ is False  # type: ignore[attr-defined]  # pytest's own mark
