"""`VERB --help` is one screen that loads no torch and tells the truth; `--help all` and `--help data` are the rest."""

from __future__ import annotations

import inspect
import subprocess
import sys
from argparse import SUPPRESS
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Tlearn
from tlearn.cli import VERBS
from tlearn.cli.arguments import Arguments, VerbParser
from tlearn.cli.defaults import DATA_MODULES
from tlearn.cli.help.options import options_of
from tlearn.cli.help.pages import PAGES
from tlearn.cli.help.whole import parser_of
from tlearn.data.datamodule import ImageDataModule
from tlearn.data.sources.folder import ImageFolderDataModule
from tlearn.models.reliability.drift import LEVEL

TRAINED = ("fit", "validate", "test", "predict")
MOST_LINES, WIDTH = 60, 80
NOT_PARSED = ("--sweep", "--folds", "--budget")  # before the parser runs
FLAGS = ("--find_lr", "--print_config")
TYPED = {"python -m tlearn": "/somewhere/tlearn/__main__.py", "tlearn": "/usr/bin/tlearn"}


@pytest.mark.parametrize("name", TYPED)
@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_is_one_screen(verb: str, name: str, tlearn: Tlearn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [TYPED[name]])
    answer = tlearn(*filter(None, [verb]), "--help")
    lines = answer.out.splitlines()
    assert answer.code == 0
    assert len(lines) <= MOST_LINES
    assert [line for line in lines if len(line) > WIDTH] == []
    assert f"usage: {name} {verb or 'VERB'} " in answer.out
    assert "`" not in answer.out
    assert "$" not in answer.out.replace('"$(tlearn completion bash)"', "")
    if verb:
        assert tlearn(verb, "-h", "my_pictures", "--wrong").out == answer.out


def test_no_help_waits_for_torch() -> None:
    heavy = "{'torch', 'lightning', 'torchvision', 'sklearn', 'numpy', 'jsonargparse', 'rich'}"
    calls = f"[tlearn.cli.main([verb, '--help']) for verb in {list(VERBS)}]"
    code = f"import sys, tlearn.cli; {calls}; tlearn.cli.main([]); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")


def shown(value: Any) -> str | None:
    """A default as a page writes it: of a class its name."""
    if value is None:
        return None
    value = value["class_path"].rpartition(".")[2] if isinstance(value, dict) else value
    return str(yaml.safe_dump(value)).splitlines()[0].strip("'")


def real_options(verb: str) -> dict[str, str | None]:
    """All options of a verb's parser and of a folder of pictures with their defaults, as a page writes them."""
    parser = parser_of(verb)
    found = {name: shown(action.default) for action in parser._actions for name in action.option_strings}
    kinds = [kind for kind in ImageFolderDataModule.__mro__ if "__init__" in vars(kind) and kind is not object]
    for kind in reversed(kinds):
        for option in inspect.signature(kind).parameters.values():
            given = option.default if isinstance(option.default, (int, float, str)) else None
            found |= {f"--data.{name}{option.name}": shown(given) for name in ("", "init_args.")}
    return found | {"--model.optimizer.lr": "0.001"}


@pytest.mark.parametrize("verb", TRAINED)
def test_names_and_defaults_are_the_parsers(verb: str) -> None:
    real = real_options(verb)
    page = {option.name: option.default for option in options_of(verb)}
    assert [name for name in page if name not in (*real, *NOT_PARSED)] == []
    known = {name: real[name] for name in page if name in real and name not in ("--data", *FLAGS)}
    settled = ("--data.num_workers", "--data.batch_size") if verb != "fit" else ("--data.num_workers",)
    known |= {name: None for name in settled if name in known}  # the words say what they follow
    assert {name: page[name] for name in known} == known


AGAINST = ("--against", "--level")  # of the doctor, which has another parser with the first of them


def test_options_to_compare_with_a_run_are_on_the_page(tlearn: Tlearn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VerbParser, "take", lambda parser, _: pytest.fail(" ".join(parser._option_string_actions)))
    with pytest.raises(pytest.fail.Exception, match="--against --level --out"):
        tlearn("doctor", "photos", "--against", "runs/some")
    page = {option.name: option.default for option in options_of("doctor")}
    assert (page["--against"], page["--level"]) == (None, str(LEVEL))


@pytest.mark.parametrize("verb", ["plan", "probe", "advise", "doctor"])
def test_pages_of_verbs_that_look_name_options_of_fit(verb: str) -> None:
    fit = {option.name: option.default for option in options_of("fit")}
    own = {"--out", "--image_sizes", "--backbones", "--fix", *AGAINST}
    assert {option.name: option.default for option in options_of(verb) if option.name not in own}.items() <= fit.items()


class Seen(Exception):  # noqa: N818  # no fault
    """Ends a verb once its parser is made."""


@pytest.mark.parametrize(
    "verb", ["plan", "probe", "advise", "doctor", "compare", "optimize", "report", "quickstart", "label", "soup"]
)
def test_own_options_are_on_the_page(verb: str, tlearn: Tlearn, monkeypatch: pytest.MonkeyPatch) -> None:
    own: list[str] = []

    def seen(parser: VerbParser, arguments: Arguments) -> None:
        own.extend(parser._option_string_actions)
        raise Seen

    monkeypatch.setattr(VerbParser, "take", seen)
    tlearn(verb)
    page = [option.name for option in options_of(verb)]
    assert own
    assert [name for name in own if name not in page] == []
    others = [
        name
        for name in page
        if name not in (*own, *AGAINST) and not name.startswith(("--data.", "--model.", "--trainer."))
    ]
    assert [name for name in others if name != "--config"] == []


def test_pictures_to_predict_are_explained(tlearn: Tlearn) -> None:
    said = " ".join(tlearn("predict", "--help").out.split())
    assert "PHOTOS a folder, a pattern such as 'photos/*.jpg', a picture file, or several of these" in said
    assert "--data PHOTOS the same as PHOTOS: folder, pattern, file" in said


def test_all_options_with_no_defaults_but_ours(tlearn: Tlearn) -> None:
    answer = tlearn("fit", "--help", "all")
    assert answer.code == 0
    assert answer.out.startswith("usage: tlearn fit TARGET [--option VALUE ...]\n\nTrains on the training images")
    said = " ".join(answer.out.split())
    actions = [action for action in parser_of("fit")._actions if action.help != SUPPRESS]
    names = [name for action in actions for name in action.option_strings if name.startswith("--")]
    assert len(names) > 90
    assert [name for name in names if name not in said] == []
    for theirs in ("Default: ``", "__main__", "max_epochs = 1000", "Disabled by default", "-->"):
        assert theirs not in said
    assert "Stop training once this number of epochs is reached. To enable infinite" in said
    assert "null is the fastest of the device. (type:" in said
    assert tlearn("fit", "--help.all").out == answer.out
    assert answer.out.partition("options:")[2] == tlearn("plan", "--help", "all").out.partition("options:")[2]


def test_options_of_each_kind_of_data(tlearn: Tlearn) -> None:
    answer = tlearn("fit", "--help", "data")
    assert tlearn("fit", "--help.data").out == answer.out
    lines = answer.out.splitlines()
    assert [line for line in lines if len(line) > WIDTH] == []
    for kind in (kind for file in DATA_MODULES for kind in vars(file).values() if inspect.isclass(kind)):
        if issubclass(kind, ImageDataModule) and not inspect.isabstract(kind):
            about = answer.out.partition(f"\n{kind.__name__}: ")[2].partition("\n\n")[0]
            options = set(inspect.signature(kind).parameters) - {"options", "stored_classes", "stored_task"}
            assert [name for name in options if f"\n  {name}: " not in about] == []
    assert "\n  batch_size: " in answer.out
    assert "\n  crop_padding_px: " in answer.out
    assert "[64]" in answer.out


def test_another_kind_of_help_is_refused(tlearn: Tlearn) -> None:
    expected = "error: unknown kind of help 'dat'. Did you mean 'data'? Choices: all, data\n"
    assert tlearn("fit", "--help.dat").err == expected


def test_every_verb_has_a_page() -> None:
    assert set(PAGES) == set(VERBS)


def test_a_reader_that_goes_is_no_fault(tmp_path: Path) -> None:
    words = f"{sys.executable} -m tlearn fit --help | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: python -m tlearn fit")


@pytest.mark.parametrize("option", ["--seeds", "--trials", "--out"])
def test_an_option_of_a_sweep_without_one(option: str, tlearn: Tlearn) -> None:
    answer = tlearn("fit", "--config", "quickstart.yaml", option, "2")
    assert answer.code == 2
    assert answer.err.startswith(f"error: {option} belongs to --sweep, which compares values of an option: fit TARGET")
    assert answer.err.count("\n") == 1


def test_no_pictures_and_no_run_say_what_to_type(tlearn: Tlearn) -> None:
    fit, test = tlearn("fit").err, tlearn("test").err
    assert "error: no pictures are named: a folder, a table or a config, such as tlearn fit my_pictures\n" in fit
    assert "error: test needs a run, without it the head is untrained: tlearn test runs/my_pictures; or" in test
