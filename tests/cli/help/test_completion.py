"""`tlearn completion bash`: verbs, options and files, tried in a bash of its own."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Tlearn

_ASK = """
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=()
_shtab_tlearn tlearn "${{COMP_WORDS[$COMP_CWORD]}}" "${{COMP_WORDS[$((COMP_CWORD - 1))]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        (["pre"], ["predict"]),
        (["fit", "my_p"], ["my_pictures"]),
        (["fit", "my_pictures", "--model.freeze"], ["--model.freeze_backbone", "--model.freeze_until"]),
        (["fit", "--find_lr", "--config", "mine"], ["mine.yaml"]),
        (["fit", "my_pictures", "--model.head_solver", ""], ["lbfgs"]),
        (["predict", "runs", "my_pic"], ["my_pictures"]),
        (["export", "runs", "--quan"], ["--quantize"]),
        (["cache", ""], ["ls", "rm"]),
        (["completion", ""], ["bash", "zsh"]),
    ],
)
def test_bash(typed: list[str], completed: list[str], tlearn: Tlearn, tmp_path: Path) -> None:
    (tmp_path / "my_pictures").mkdir()
    (tmp_path / "mine.yaml").touch()
    script = tlearn("completion", "bash").out
    ask = _ASK.format(words=shlex.join(["tlearn", *typed]))
    done = subprocess.run(["bash", "--norc", "-c", script + ask], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout.splitlines() == completed


def test_bash_offers_every_verb(tlearn: Tlearn) -> None:
    from tlearn.cli import VERBS

    ask = tlearn("completion", "bash").out + _ASK.format(words="tlearn ''") + "complete -p tlearn"
    done = subprocess.run(["bash", "--norc", "-c", ask], capture_output=True, text=True)
    *offered, registered = done.stdout.splitlines()
    assert offered == list(VERBS)
    assert registered.endswith("-F _shtab_tlearn tlearn")


def test_zsh(tlearn: Tlearn, tmp_path: Path) -> None:
    script = tlearn("completion", "zsh").out
    assert script.startswith("#compdef tlearn\n")
    assert "--model.freeze_until[the stages up to this one stay as they are]" in script
    if zsh := shutil.which("zsh"):
        (tmp_path / "_tlearn").write_text(script)
        assert subprocess.run([zsh, "-n", str(tmp_path / "_tlearn")], capture_output=True).returncode == 0


def test_another_shell_is_refused(tlearn: Tlearn) -> None:
    assert "unknown shell 'fish'" in tlearn("completion", "fish").err
    assert tlearn("completion").err == "error: expected completion bash or completion zsh\n"
