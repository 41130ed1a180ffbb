"""Every command and snippet in the README is executed, in its order."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Tlearn
from tests.fake_pictures import write_flat, write_splits, write_table

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
COMMANDS = [line[2:].partition("  #")[0] for line in re.findall(r"^\$ .*", README, flags=re.MULTILINE)]
SNIPPETS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
OWN_DATA = {"quickstart.yaml", "quickstart_transfer.yaml", "advised.yaml"}
# These need a new environment or go on for ever; `.ci/run` starts with the make targets.
NOT_HERE = ("make run", "make test", "pip install .", "tensorboard --logdir runs --port 6006")


def test_commands(tlearn: Tlearn, cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = [command for command in COMMANDS if not command.startswith(NOT_HERE)]
    assert len(ours) == len(COMMANDS) - len(NOT_HERE) >= 10
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    write_splits(tmp_path / "my_pictures")
    write_flat(tmp_path / "photos")
    write_table(tmp_path).rename(tmp_path / "my_table.csv")
    for command in ours:
        words = shlex.split(command)[3:]
        if {"folder.yaml", "table.yaml"} & set(words):
            words += ["--model.image_size", "32"]
        elif not {"quickstart.yaml", "quickstart_transfer.yaml", "advised.yaml"} & set(words) and {
            "--config",
            "compare",
        } & set(words):
            words += ["--data.root", str(cifar_root)]
        if "--seeds" in words:
            words[words.index("--seeds") + 1] = "1"
        if "--image_sizes" in words:
            words[words.index("--image_sizes") + 1] = "16"
        if {"fit", "plan", "compare", "advise"} & set(words):
            epochs = "2" if "40" in words else "1"  # a resume needs an epoch more than what it resumes
            words += ["--trainer.limit_train_batches=1", "--data.batch_size=4", "--trainer.max_epochs", epochs]
            words += [] if "--model.weights" in words else ["--model.weights=null"]
        answer = tlearn(*words)
        if "gpu" in words:
            assert "no GPU found; --trainer.accelerator auto" in answer.err
        else:
            assert answer.code == 0, f"{command}: {answer.err}"


def test_python_snippet(tmp_path: Path) -> None:
    snippet = next(code for code in SNIPPETS if "Trainer" in code)
    done = subprocess.run([sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


def test_own_pictures_snippet(tlearn: Tlearn, tmp_path: Path) -> None:
    write_flat(tmp_path / "photos")
    write_splits(tmp_path / "my_pictures")
    words = ["--config", "folder.yaml", "--data.init_args.root", "my_pictures", "--model.weights", "null"]
    assert tlearn("fit", *words, "--model.image_size", "32").code == 0
    snippet = next(code for code in SNIPPETS if "load(" in code)
    done = subprocess.run([sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "photos/00_cat.png" in done.stdout


def test_script_without_torch_is_the_tested_one() -> None:
    _, _, script = (Path(__file__).parent / "deploy/torch_free.py").read_text(encoding="utf-8").partition('"""\n\n')
    assert script in SNIPPETS


def test_table_names_every_config() -> None:
    from tlearn.config_files import shipped_configs

    assert [name for name in shipped_configs() if f"`{name}`" not in README] == []
