"""The commands, snippets, links and computed tables of the README and of docs/ are tried, in their order."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import write_flat, write_folder, write_splits, write_table
from tests.helpers.labelling.answered_pages import visited

ROOT = Path(__file__).parents[2]
DOCUMENTS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in ROOT.glob("*.md")}
DOCUMENTS |= {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in ROOT.glob("docs/*.md")}
README, CHINESE = DOCUMENTS["README.md"], DOCUMENTS["README.zh.md"]
TROUBLESHOOTING = DOCUMENTS["docs/troubleshooting.md"]
TRIED = sorted({name for name, text in DOCUMENTS.items() if "\n$ " in text} - {"README.zh.md"})
# These need a new environment or another machine, or go on for ever; `.ci/run` starts with make's, and
# tests/commands/test_quickstart.py runs the quick start.
# tests/training/test_distributed.py starts several processes as torchrun and SLURM do.
NOT_HERE = (
    *("make test", "make lint", "pip install .", "pip install '.[", "tlearn quickstart", "tensorboard --logdir"),
    *("python -m tlearn.reporting.tensorboard", "ssh -L", "torchrun", "sbatch", "pip install 'tlearn[science]'"),
)
OFFLINE = {"quickstart.yaml", "quickstart_transfer.yaml", "advised.yaml"}
MADE = ("ckpt", "json", "safetensors")  # endings of files that docs/python.md writes
OWN_PICTURES = {"folder.yaml", "stream.yaml", "table.yaml"}  # long forms, and short ones
OWN_PICTURES |= {"my_pictures", "my_shards", "my_table.csv", "my_boxes.csv"}
OWN_PICTURES |= {"photos"}  # of which `label` asks for labels
LOOKS = {"fit", "plan", "probe", "advise", "doctor", "compare", "label", "review"}  # all other verbs take a run


def commands_of(text: str) -> list[str]:
    return [re.split(r"\s{2,}#", line[2:])[0] for line in re.findall(r"^\$ .*", text, flags=re.MULTILINE)]


def snippets_of(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def shortened(command: str, cifar_root: Path) -> list[str]:
    """Return the words behind ``tlearn``, on small data that are at hand, for a step or two."""
    words = shlex.split(command)[1:]
    configs = [word for word in words if word.endswith(".yaml")]
    if LOOKS & set(words) and OWN_PICTURES & set(words):
        words += ["--model.image_size", "32"]
    elif configs and not OFFLINE & set(configs):
        words += ["--data.root", str(cifar_root)]
    for option, value in (("--seeds", "1"), ("--trials", "2"), ("--image_sizes", "16")):
        if option in words:
            words[words.index(option) + 1] = value
    if {"label", "review"} & set(words):
        words += ["--model.weights=null"]
    if {"fit", "plan", "compare", "advise"} & set(words):
        epochs = "2" if "40" in words else "1"  # a resume needs an epoch more than what it resumes
        words += ["--trainer.limit_train_batches=1", "--data.batch_size=4", "--trainer.max_epochs", epochs]
        words += [] if "--model.weights" in words else ["--model.weights=null"]
    return words


@pytest.mark.parametrize(
    "document", [name if name == "README.md" else pytest.param(name, marks=pytest.mark.slow) for name in TRIED]
)
def test_commands(
    document: str, tlearn: Tlearn, cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("tlearn.pages.server.running.run_server", visited)
    write_splits(tmp_path / "my_pictures")
    write_flat(tmp_path / "photos", 24)
    write_table(tmp_path).rename(tmp_path / "my_table.csv")
    head, *rows = (tmp_path / "my_table.csv").read_text().splitlines()
    boxed = [f"{head},box", *(f'{row},"4,4,50,50"' for row in rows)]
    (tmp_path / "my_boxes.csv").write_text("\n".join(boxed))
    for command in commands_of(DOCUMENTS[document]):
        if command.startswith(NOT_HERE):
            continue
        if "--data.test_fraction" in command:  # for folders without pictures to test on
            shutil.rmtree(tmp_path / "my_pictures/test")
        answer = tlearn(*shortened(command, cifar_root))
        if "gpu" in command.split():
            assert "no GPU found; --trainer.accelerator auto" in answer.err
        else:
            assert answer.code == 0, f"{command}: {answer.err}"


def test_commands_are_found() -> None:
    found = [command for name in TRIED for command in commands_of(DOCUMENTS[name])]
    passed_over = [command for command in found if command.startswith(NOT_HERE)]
    assert len(passed_over) == len(NOT_HERE)  # each of them once
    assert len(found) - len(passed_over) >= 25


def test_faults_are_said_as_the_table_has_them(tlearn: Tlearn, tmp_path: Path) -> None:
    write_splits(tmp_path / "mixed")
    write_folder(tmp_path / "one/train", classes=("cat",))
    write_flat(tmp_path / "flat")
    for year in ("2023", "2024"):
        write_folder(tmp_path / "deep" / year)
    write_splits(tmp_path / "broken")
    (tmp_path / "broken/train/cat/bad.jpg").write_text("x")
    (tmp_path / "mixed/val/lion").mkdir()
    (tmp_path / "mixed/val/cat/cat500.png").rename(tmp_path / "mixed/val/lion/lion.png")
    fit = ["fit", "--config", "folder.yaml", "--model.weights", "null", "--model.image_size", "32"]
    fit += ["--data.init_args.root"]
    for words, fault in (
        ([*fit, "one"], "found 1 class (cat) in"),
        ([*fit, "flat"], "no folder train in"),
        ([*fit, "deep"], "are the classes?"),
        ([*fit, "broken"], "1 of 25 train pictures cannot be read:"),
        ([*fit, "mixed"], "has a class that is not trained on: lion (1 image)"),
        ([*fit, "one", "--model.freeze_til", "layer2"], "unknown option model.freeze_til"),
        (["predict", "--ckpt_path", "runs/folder/version_9"], "no checkpoint at"),
    ):
        assert fault in tlearn(*words).err
        assert fault in TROUBLESHOOTING


def printed_by(document: str, tlearn: Tlearn, folder: Path) -> str:
    """Run all Python snippets of a document as one program, beside pictures and a finished run."""
    write_flat(folder / "photos")
    write_splits(folder / "my_pictures")
    small = ["--model.weights", "null", "--model.image_size", "32"]
    assert tlearn("fit", "my_pictures", *small).code == 0
    program = "\n".join(snippets_of(DOCUMENTS[document])).replace('weights="DEFAULT"', "weights=None")
    quick = '{"model.weights": None, "model.image_size": 32}'
    program = program.replace('tlearn.fit("my_pictures")', f'tlearn.fit("my_pictures", {quick})')
    root = '"data.init_args.root": "my_pictures"'  # the long form
    program = program.replace(root + "}", root + ", " + quick.removeprefix("{"))
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_readme_snippet(tlearn: Tlearn, tmp_path: Path) -> None:
    printed = printed_by("README.md", tlearn, tmp_path)
    rows = [row.split()[:2] for row in printed.splitlines()]
    answers = [["photos/00_cat.png", "cat"], ["photos/01_dog.png", "dog"]]
    assert rows[-3:] == [["runs/my_pictures/version_1", "1.0"], *answers]


@pytest.mark.slow
def test_python_page_snippets(tlearn: Tlearn, tmp_path: Path) -> None:
    printed = printed_by("docs/python.md", tlearn, tmp_path)
    assert "photos/00_cat.png cat" in printed
    assert "torch.Size([8, 3, 64, 64])" in printed
    assert (tmp_path / "runs/mine/report.html").is_file()
    assert (tmp_path / "runs/quickstart/version_0/report.html").is_file()
    assert "top-1 agrees on 100.00 %, largest difference" in printed
    left = {path.name for path in tmp_path.iterdir()}
    made = {"predictions.csv", "doctor.json", *(f"model.{ending}" for ending in MADE)}
    assert left == {"my_pictures", "photos", "runs", ".cache", *made}


def test_script_without_torch_is_the_tested_one() -> None:
    _, _, script = (ROOT / "tests/deploy/torch_free.py").read_text("utf-8").partition('"""\n\n')
    assert snippets_of(DOCUMENTS["docs/export.md"]) == [script]


@pytest.mark.slow
def test_tables_of_the_four_boxes_are_what_their_snippet_prints() -> None:
    text = DOCUMENTS["docs/strategies.md"]
    (snippet,) = snippets_of(text)
    done = subprocess.run([sys.executable, "-c", snippet], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    assert [row for row in rows if f"\n{row}\n" not in text] == []
    assert len(rows) == 14


def test_table_of_the_policies_is_what_score_prints() -> None:
    from benchmarks.advise.score import read_cases, table

    text = DOCUMENTS["docs/measuring.md"]
    scores = [row.split("|", 2)[2] for row in table(read_cases()).splitlines()[2:]]
    assert [row for row in scores if row not in text] == []


def test_index_names_every_config_and_every_page() -> None:
    from tlearn.cli.config_files import shipped_configs

    index = DOCUMENTS["docs/index.md"]
    assert [name for name in shipped_configs() if f"`{name}`" not in index] == []
    pages = [name for name in DOCUMENTS if name.startswith("docs/") and name != "docs/index.md"]
    assert [name for name in pages if f"]({name.removeprefix('docs/')}" not in index] == []
    assert [name for name in pages if f"]({name})" not in README] == []


def test_readme_is_short_and_runnable_at_once() -> None:
    lines = README.splitlines()
    assert len(lines) <= 150
    assert "```console" in lines[:12]
    assert "```python" in lines[:36]  # behind install and three commands


def anchors_of(text: str) -> set[str]:
    """Return what GitHub calls the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", sorted(DOCUMENTS))
def test_links_lead_somewhere(document: str) -> None:
    here, text = (ROOT / document).parent, re.sub(r"```.*?```", "", DOCUMENTS[document], flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r' src="([^"]+)"', text)
    links = [link for link in links if not link.startswith("http")]
    for target, _, anchor in (link.partition("#") for link in links):
        path = here / target if target else ROOT / document
        assert path.exists(), f"{document}: {target}"
        assert not anchor or anchor in anchors_of(path.read_text("utf-8")), f"{document}: {target}#{anchor}"
    named = re.findall(r"`((?:tlearn|tests|notebooks|benchmarks|docs|configs)/[\w./]+\.\w+)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_chinese_readme_has_the_same_commands_snippets_and_numbers() -> None:
    assert commands_of(CHINESE) == commands_of(README)
    assert snippets_of(CHINESE) == snippets_of(README)
    assert re.findall(r"\]\((docs[^)#]+)", CHINESE) == re.findall(r"\]\((docs[^)#]+)", README)
    assert CHINESE.count("\n| ") == README.count("\n| ")
    numbers = [set(re.findall(r"\d[\d.,:]*(?<=\d)", text)) for text in (CHINESE, README)]
    assert numbers[0] == numbers[1]
