"""The front door, and what the command line says when a word is wrong (C02-C05, C10, C32)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from tests.conftest import Tlearn
from tlearn.version import __version__


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--version"], 0, f"tlearn {__version__}\n"),
        (["--help"], 0, "usage: python -m tlearn VERB"),
        ([], 0, "finetune.yaml"),
        (["quickstart", "--help"], 0, "usage: python -m tlearn quickstart [--trainer.default_root_dir FOLDER]"),
        (["fot"], 2, "unknown verb 'fot'. Did you mean 'fit'?"),
        (["fit", "--config", "finetun.yaml"], 2, "Did you mean 'finetune.yaml'? Choices: cluster/ddp.yaml, feature_ex"),
        (["fit", "--config"], 2, "--config needs the name or the path of a config"),
        (["--max_epochs", "3"], 2, "unknown verb '3'"),
        (["--wrong"], 2, "expected a verb first"),
        (["test"], 2, "test needs --ckpt_path"),
        (["predict", "-c", "finetune.yaml"], 2, "predict needs --ckpt_path"),
        (["validate", "--ckpt_path", "nowhere.ckpt"], 2, "no checkpoint at "),
        (["test", "--ckpt_path", "best"], 2, "no best.ckpt under "),
        (["fit", "-c", "finetune.yaml", "--ckpt_path", "last"], 2, "no last.ckpt under "),
    ],
)
def test_front_door(words: list[str], code: int, text: str, tlearn: Tlearn, tmp_path: Path) -> None:
    answer = tlearn(*words)
    assert answer.code == code
    assert text in (answer.err if code else answer.out)
    assert answer.err.count("\n") == (1 if code else 0)
    assert not list(tmp_path.iterdir())


def test_front_door_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'lightning', 'torchvision', 'sklearn', 'numpy'}"
    code = f"import sys, tlearn.cli; tlearn.cli.main(['--help']); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")


def test_a_python_without_the_packages_says_which_one_has_them(tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from tlearn.cli import main; sys.exit(main(['fit']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: torch is not installed for {sys.executable}; activate the environment that")


def test_a_logger_whose_package_is_missing(tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, "--trainer.logger", "WandbLogger")
    assert answer.code == 2
    assert answer.err.startswith("error: WandbLogger needs a package that is not installed: pip install 'wandb")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model: {learning_rate: 0.1}", "unknown option model.learning_rate in {path}; did you mean model.optimizer"),
        ("trainer: {max_epoch: 2}", "unknown option trainer.max_epoch in {path}; did you mean trainer.max_epochs?"),
        ("data: {class_path: DigitsDataModule, init_args: {batch_siz: 3}}", "did you mean data.init_args.batch_size?"),
        (
            "model: {optimizer: {class_path: SGD, init_args: {lrr: 1}}}",
            "unknown option model.optimizer.init_args.lrr in",
        ),
        ("data: {class_path: DigitDataModule}", "no class is named 'DigitDataModule'; did you mean DigitsDataModule?"),
        ("", "{path} is empty"),
        ("- 1", "{path} holds a list"),
        ("model:\n\tweights: null", "{path}, line 2, column 1: found character '\\t'"),
        ("fit:\n  model: {weights: null}", "{path}: the config stands under 'fit:'"),
        ("data: {class_path: DigitsDataModule, init_args: {batch_size: -4}}", "expected a value >0, got -4"),
        ("data: {class_path: DigitsDataModule, init_args: {num_workers: -1}}", "expected a value >=0, got -1"),
        ("trainer: {max_steps: 1e3}", "trainer.max_steps in {path}: expected int, got 1000.0"),
    ],
)
def test_wrong_config_is_one_line(text: str, expected: str, tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    answer = tlearn("fit", "-c", small, "-c", str(path))
    assert answer.code == 2
    assert answer.err.startswith("error: ")
    assert expected.format(path=path) in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--data.batch_size", "0"], "data.batch_size on the command line: expected a value >0, got 0"),
        (["--data.augment.flipp", "true"], "did you mean data.init_args.augment.flip?"),
        (["--model.num_classes", "9"], "model.num_classes on the command line: this comes from the data"),
        (
            ["--lr_scheduler", "StepLR"],
            "unknown option lr_scheduler on the command line; did you mean model.lr_scheduler?",
        ),
        (["--optimizer", "AdamW"], "did you mean model.optimizer?"),
        (["--trainer.callbacks.patience=3"], "unknown option trainer.callbacks.patience on the command line"),
        (["--model.optimizer", "Adamm"], "no class is named 'Adamm'; did you mean Adam?"),
        (["--model.freeze_backbone", "maybe"], "expected bool, got maybe"),
        (["--trainer.limit_train_batches", "0.01"], "limit_train_batches"),
    ],
)
def test_wrong_word_is_one_line(words: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, *words)
    assert answer.code == 2
    assert expected in answer.err.splitlines()[-1]


def test_numbers_in_every_spelling_are_numbers(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    spelled = tmp_path / "spelled.yaml"
    spelled.write_text("model: {optimizer: {init_args: {lr: 1e-3, weight_decay: 1E-4}}, lr_scales: {head: 1e1}}")
    assert tlearn("fit", "-c", small, "-c", str(spelled)).code == 0
    saved = yaml.safe_load((tmp_path / "runs/small/version_0/config.yaml").read_text())
    assert saved["model"]["optimizer"]["init_args"]["lr"] == 0.001
    assert saved["model"]["optimizer"]["init_args"]["weight_decay"] == 0.0001
    assert saved["model"]["lr_scales"] == {"head": 10.0}


def test_config_before_the_verb(tlearn: Tlearn, small: str) -> None:
    assert tlearn("-c", small, "fit", "--trainer.fast_dev_run", "true").code == 0


def test_same_command_twice_makes_two_runs(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    for _ in range(2):
        assert tlearn("fit", "-c", small, "--trainer.logger", "false").code == 0
    assert sorted(p.name for p in (tmp_path / "runs/small").iterdir()) == ["version_0", "version_1"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["runs", "small.yaml"]


def test_a_run_is_never_mixed_into_another(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    fixed = [
        "--trainer.logger",
        "TensorBoardLogger",
        "--trainer.logger.save_dir",
        "out",
        "--trainer.logger.version",
        "7",
    ]
    assert tlearn("fit", "-c", small, *fixed).code == 0
    answer = tlearn("fit", "-c", small, *fixed)
    assert answer.code == 2
    assert f"{tmp_path}/out/lightning_logs/version_7/config.yaml exists" in answer.err


def test_printed_and_saved_configs_are_accepted_back(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    assert tlearn("fit", "-c", small).code == 0
    (tmp_path / "small2").mkdir()
    printed = tmp_path / "small2" / "small.yaml"
    printed.write_text(tlearn("fit", "-c", small, "--print_config").out)
    saved = str(tmp_path / "runs/small/version_0/config.yaml")
    for config in (str(printed), saved):
        assert tlearn("fit", "-c", config).code == 0
    weights = [
        torch.load(tmp_path / f"runs/small/version_{n}/checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for n in range(3)
    ]
    for other in weights[1:]:
        assert all(torch.equal(other[key], value) for key, value in weights[0].items())
    assert tlearn("validate", "-c", saved, "--ckpt_path", "best").code == 0


def test_relative_root_is_named_in_full(tlearn: Tlearn, tmp_path: Path) -> None:
    answer = tlearn("fit", "-c", "from_scratch.yaml", "--data.root", "nowhere", "--data.download", "false")
    assert answer.code == 2
    assert str(tmp_path / "nowhere") in answer.err
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("sign", ["=", "+="])
def test_callbacks_of_the_user_do_not_replace_ours(sign: str, tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    words = [f"--trainer.callbacks{sign}EarlyStopping", "--trainer.callbacks.monitor=val/loss"]
    assert tlearn("fit", "-c", small, *words).code == 0
    checkpoints = tmp_path / "runs/small/version_0/checkpoints"
    assert sorted(path.name for path in checkpoints.iterdir()) == ["best.ckpt", "last.ckpt"]
    states = torch.load(checkpoints / "last.ckpt", weights_only=True)["callbacks"]
    assert any(key.startswith("EarlyStopping") for key in states)


def test_unexpected_fault_is_one_line_too(tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tlearn.app.best_precision", lambda accelerator: 1 / 0)
    answer = tlearn("fit", "-c", small, "--trainer.precision", "null")
    assert answer.code == 1
    assert answer.err == "error: ZeroDivisionError: division by zero; TLEARN_DEBUG=1 shows where it came from\n"
    monkeypatch.setenv("TLEARN_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        tlearn("fit", "-c", small, "--trainer.precision", "null")
