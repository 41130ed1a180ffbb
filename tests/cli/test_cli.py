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
        (["--help"], 0, "usage: tlearn VERB"),
        ([], 0, "finetune.yaml"),
        (["quickstart", "--help"], 0, "usage: tlearn quickstart [--trainer.default_root_dir FOLDER]"),
        (["fot"], 2, "unknown verb 'fot'. Did you mean 'fit'?"),
        (["fit", "--config", "finetun.yaml"], 2, "Did you mean 'finetune.yaml'? Choices: cluster/ddp.yaml, feature_ex"),
        (["fit", "--config"], 2, "--config needs the name or the path of a config"),
        (["--max_epochs", "3"], 2, "unknown verb '3'"),
        (["--wrong"], 2, "expected a verb first"),
        (["test"], 2, "test needs a run"),
        (["predict", "-c", "finetune.yaml"], 2, "predict needs a run"),
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
        (["stray.yaml"], "unknown config 'stray.yaml'. Did you mean 'stream.yaml'?"),
        (["--find_lr=no"], "--find_lr takes no value: type it, or leave it out"),
        (["--find_lr", "false"], "unexpected word 'false'"),
        (["--trainer.max_epochs"], "--trainer.max_epochs needs a value behind it"),
        (
            ["--model.optimizer", "AdamW", "--model.optimizer.nesterov", "true"],
            "nesterov on the command line, AdamW has",
        ),
    ],
)
def test_wrong_word_is_one_line(words: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, *words)
    assert answer.code == 2
    assert expected in answer.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "model: {optimizer: {init_args: {lr: .inf}}}",
            "model.optimizer.init_args.lr: expected a finite number, got inf",
        ),
        ("model: {optimizer: {init_args: {lr: inf}}}", "init_args.lr in {path}: expected a finite number, got inf"),
        (
            "model: {optimizer: {init_args: {lr: .nan}}}",
            "model.optimizer.init_args.lr: expected a finite number, got nan",
        ),
        (
            "model: {optimizer: {init_args: {lr: abc}}}",
            "model.optimizer.init_args.lr in {path}: expected float, got abc",
        ),
        (
            "model: {optimizer: {init_args: {lr: -0.1}}}",
            "model.optimizer does not take its init_args: Invalid learning rate",
        ),
        (
            "model: {optimizer: {init_args: {weight_decay: -1}}}",
            "model.optimizer does not take its init_args: Invalid wei",
        ),
        ("model: {lr_scales: {head: .inf}}", "model.lr_scales: expected a finite number above 0, got inf"),
        ("model: {rules: {head: -1}}", "model.rules in {path}: expected a value >0, got -1"),
        ("model: {head_dropout: 1.5}", "model.head_dropout: expected a number from 0 to 1, got 1.5"),
        ("model: {optimizer: {class_path: SGD, lr: 0.1}}", "model.optimizer in {path}: lr must stand under init_args"),
        (
            "model: {optimizer: {class_path: AdamW, init_args: {nesterov: true}}}",
            "nesterov in {path}, AdamW has none like",
        ),
        (
            "model: {optimizer: {class_path: AdamW, init_args: {beta: 1}}}",
            "did you mean model.optimizer.init_args.betas?",
        ),
        (
            "model: {lr_scheduler: {class_path: CosineAnnealingLR, init_args: {T_mx: 3}}}",
            "did you mean model.lr_scheduler.init_args.T_max?",
        ),
        ("data: {init_args: {roott: x}}", "data.init_args.roott in {path}, DigitsDataModule has none like it"),
        (
            "data: {init_args: {batch_size: 2.5}}",
            "data.init_args.batch_size in {path}: expected a whole number, got 2.5",
        ),
        ("data: {init_args: {batch_size: }}", "data.init_args.batch_size: expected a whole number from 1 on, got None"),
        ("trainer: {precision: bf17}", "trainer.precision in {path}: expected int or transformer-engine, transformer"),
        ("trainer: {max_epochs: abc}", "trainer.max_epochs in {path}: expected int or null, got abc"),
        ("trainer: {gradient_clip_val: -1}", "trainer.gradient_clip_val: expected a number from 0 on, got -1"),
        ("trainer: {accelerator: gppu}", "You selected an invalid accelerator name: `accelerator='gppu'`"),
        (
            "trainer: {callbacks: [{class_path: EarlyStopping, init_args: {monitr: x}}]}",
            "callbacks.init_args.monitr in ",
        ),
        ("seed_everything: -4", "seed_everything: expected a whole number from 0 to 4294967295, got -4"),
        ("seed_everything:", "seed_everything in {path} has nothing under it; fill it, or drop it"),
    ],
)
def test_wrong_value_is_one_line(text: str, expected: str, tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    """The key, where it stands, and what was expected: no page of a library's, and no option of another class."""
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    answer = tlearn("fit", "-c", small, "-c", str(path))
    assert answer.code == 2, answer.err
    assert expected.replace("{path}", str(path)) in answer.err
    assert "Traceback" not in answer.err
    assert "Subtypes" not in answer.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--ckpt", "last"], "unknown option ckpt on the command line; did you mean ckpt_path?"),
        (["--ckpt=last", "--model.optimizer.lr", "0.5"], "unknown option ckpt on the command line; did you mean ckpt_"),
        (["--model.freeze_b", "true"], "model.freeze_b on the command line; did you mean model.freeze_backbone?"),
        (["--fi"], "unknown option fi on the command line; did you mean find_lr?"),
        (["--swee", "model.l2_sp=1,2"], "unknown option swee on the command line; did you mean sweep?"),
        (["--confi", "small.yaml"], "unknown option confi on the command line; did you mean config?"),
        (["--", "--model.optimizer.lr", "0.5"], "-- ends no options here, and what stands behind it would not count"),
        (["--ckpt_path="], "--ckpt_path is empty; name a checkpoint, or drop the option"),
        (["--model.lr_scales", "{head: 1, backbone: 2, head: 3}"], "--model.lr_scales: the key 'head' already stands"),
        (
            ["--model", '{"weights": null, "weights": "DEFAULT"}'],
            "--model: the key 'weights' already stands on the sam",
        ),
        (["--model.optimizer={class_path: SGD, init_args: {lr: 1, lr: 2}}"], "--model.optimizer: the key 'lr' already"),
        (["--sweep", "model.rules={head: 1, head: 2},{head: 1}"], "--sweep model.rules: the key 'head' already stands"),
    ],
)
def test_no_option_is_swallowed(words: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    """The parser would take the beginning of an option, behind our own checks, and the last of two keys."""
    answer = tlearn("fit", "-c", small, *words)
    assert answer.code == 2
    assert expected in answer.err
    assert answer.err.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("verb", "words", "expected"),
    [
        ("doctor", ["--fi"], "unknown option fi on the command line; did you mean fix or find_lr?"),
        ("doctor", ["--fix=true"], "--fix takes no value: type it, or leave it out"),
        ("doctor", ["--out"], "--out needs the name of a file to write"),
        ("plan", ["--ou", "x.json"], "unknown option ou on the command line; did you mean out?"),
        ("probe", ["--image", "16"], "unknown option image on the command line; did you mean image_sizes?"),
        ("advise", ["--imag", "16"], "unknown option imag on the command line; did you mean image_sizes?"),
        ("compare", ["--seed", "1", "-c", "finetune.yaml"], "unknown option seed on the command line; did you mean se"),
        ("validate", ["--ckpt", "best"], "validate needs a run"),
        ("export", ["--ckpt", "x", "--out", "a.onnx"], "unknown option of export '--ckpt'. Did you mean '--ckpt_path'"),
        ("report", ["--ckpt", "a"], "report takes one run, such as 'tlearn report runs/NAME/version_0', got: --ckpt a"),
        ("optimize", ["a", "b", "--shard", "1"], "unknown option of optimize '--shard'. Did you mean '--shard_mb'?"),
        ("quickstart", ["--trainer.default_root_dir"], "--trainer.default_root_dir needs a folder"),
    ],
)
def test_no_verb_swallows_an_option(verb: str, words: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    config = [] if verb in ("optimize", "report", "quickstart") else ["-c", small]
    answer = tlearn(verb, *config, *words)
    assert answer.code == 2
    assert expected in answer.err
    assert answer.err.count("\n") == 1


KEY_FAULTS = [
    ("model:\n  weights: null\ntrainer: {max_epochs: 1}\nmodel:\n  l2_sp: 1\n", "line 4, column 1: the key 'model' al"),
    ("model:\n  optimizer:\n    init_args: {lr: 1}\n    init_args: {lr: 2}\n", "line 4, column 5: the key 'init_args'"),
    (
        '{"data": {"init_args": {"root": "a",\n "root": "b"}}}',
        "line 2, column 2: the key 'root' already stands in line",
    ),
    (
        "trainer: {callbacks: [{class_path: EarlyStopping,\n class_path: Timer}]}",
        "line 2, column 2: the key 'class_pat",
    ),
    ("model: {lr_scales: {1: 0.1,\n 0x1: 0.2}}", "line 2, column 2: the key '0x1' already stands in line 1"),
    ("model:\n", "line 1, column 1: model has nothing under it; fill it, or drop it"),
    ("model:\n  optimizer:\n  weights: null\n", "line 2, column 3: optimizer has nothing under it"),
    ("model: {optimizer: {class_path: SGD, init_args: }}", "line 1, column 38: init_args has nothing under it"),
    ("trainer: {callbacks: [{class_path: , init_args: {}}]}", "line 1, column 24: class_path has nothing under it"),
    ("trainer: {max_epochs: 1}\ntrainer.max_epochs: 3\n", "trainer.max_epochs stands twice, once written with a dot"),
]


@pytest.mark.parametrize(("text", "expected"), KEY_FAULTS)
def test_a_key_twice_or_for_nothing(text: str, expected: str, tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text(text)
    for words in (["fit", "-c", small, "-c", str(path)], ["plan", f"-c{path}"], ["compare", str(path), small]):
        answer = tlearn(*words)
        assert (answer.code, answer.err.count("\n")) == (2, 1)
        assert answer.err.startswith(f"error: {path}")
        assert expected in answer.err


def test_a_key_twice_in_a_file_behind_an_option(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    path.write_text("weights: null\nl2_sp: 1\nl2_sp: 2\n")
    answer = tlearn("fit", "-c", small, "--model", str(path))
    assert answer.err.startswith(f"error: {path}, line 3, column 1: the key 'l2_sp' already stands in line 2")


def test_anchors_and_merges_are_no_key_twice(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    path = tmp_path / "merged.yaml"
    path.write_text("model:\n  optimizer:\n    init_args: &rates {lr: 0.02, momentum: 0.5}\n")
    with path.open("a") as file:
        file.write("data:\n  init_args: {augment: {flip: &yes true}, drop_last: *yes}\n")
    merged = "model: {optimizer: {init_args: {<<: {lr: 0.02, momentum: 0.5}, lr: 0.03}}}"
    (tmp_path / "over.yaml").write_text(merged)
    answer = tlearn("fit", "-c", small, "-c", str(path), "-c", str(tmp_path / "over.yaml"), "--print_config")
    assert answer.code == 0, answer.err
    printed = yaml.safe_load(answer.out)
    given = printed["model"]["optimizer"]["init_args"]
    assert (given["lr"], given["momentum"], printed["data"]["init_args"]["drop_last"]) == (0.03, 0.5, True)


@pytest.mark.parametrize("words", [["-c", "{}/null.yaml"], ["--data.init_args.augment", "null"]])
def test_no_augmentation_may_be_written_as_null(tlearn: Tlearn, small: str, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "null.yaml").write_text("data: {init_args: {augment: null}}")
    answer = tlearn("fit", "-c", small, *(word.format(tmp_path) for word in words), "--trainer.max_epochs", "1")
    assert answer.code == 0, answer.err
    assert "by val/acc, on " in answer.out


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
    monkeypatch.setattr("tlearn.training.optimized.best_precision", lambda accelerator: 1 / 0)
    answer = tlearn("fit", "-c", small, "--trainer.precision", "null")
    assert answer.code == 1
    assert answer.err == "error: ZeroDivisionError: division by zero; TLEARN_DEBUG=1 shows where it came from\n"
    monkeypatch.setenv("TLEARN_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        tlearn("fit", "-c", small, "--trainer.precision", "null")
