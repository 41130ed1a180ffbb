"""What comes from a stranger runs nothing, fills no memory, and is refused in one line. SECURITY.md promises it.

That TensorBoard answers this machine alone: reporting/test_dashboard.py::test_says_its_true_address.
"""

from __future__ import annotations

import csv
import hashlib
import json
import pickle
import re
import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import Answer, Tlearn
from tests.helpers.fake_pictures import CONFIG, write_flat, write_splits
from tests.helpers.hostile_files import Toucher, bombs, encoded, harmless_bombs, mutated, pickles, torch_zip
from tests.helpers.time_limit import at_most
from tlearn import TlearnError, load
from tlearn.base.files import safe_cell
from tlearn.cli.config_files import read_config
from tlearn.data.files import reading
from tlearn.data.files.inspection_store import _VERSION
from tlearn.data.files.reading import Framing, UnreadableImageError, read_image
from tlearn.deploy.state_file import rebuild

WAYS = tuple(pickles(Path()))


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Path]:
    """The file that whatever runs would make; it must not be there in the end."""
    path = tmp_path / "made"
    yield path
    assert not path.exists()


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The name of a module that makes the file as soon as it is imported; no other test has that name."""
    name = "evil_" + re.sub(r"\W", "_", request.node.name)
    code = f"""
        from lightning.pytorch import Callback
        open({str(tmp_path / "made")!r}, "w").close()
        class Watch(Callback): pass
        def run(*args, **options): open({str(tmp_path / "made")!r}, "w").close()
    """
    (tmp_path / f"{name}.py").write_text(code.replace("\n        ", "\n"))
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def refused(answer: Answer, expected: str = "") -> None:
    assert answer.code == 2, answer.err
    said = answer.err.splitlines()[-1]
    assert said.startswith("error: ")
    assert expected in said


@pytest.mark.parametrize("way", WAYS)
def test_the_pickles_used_here_are_sharp(way: str, tmp_path: Path) -> None:
    with suppress(Exception):  # what they return is no checkpoint
        pickle.loads(pickles(tmp_path / "made")[way])
    assert (tmp_path / "made").exists()


@pytest.mark.fault("Pickles that would run a command, as checkpoints and weights", "refused in one line; nothing ran")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("wrap", [bytes, torch_zip])
def test_no_pickle_runs(way: str, wrap: Any, made: Path, tlearn: Tlearn, small: str) -> None:
    for name in ("x.ckpt", "x.pth", "x.pt", "x.safetensors"):
        Path(name).write_bytes(wrap(pickles(made)[way]))
        with pytest.raises(TlearnError, match=rf"{name} (holds|is not a readable checkpoint)"):
            load(name)
    refused(tlearn("export", "--ckpt_path", "x.ckpt", "--out", "y.safetensors"), "x.ckpt")
    refused(tlearn("test", "--ckpt_path", "x.ckpt"), "x.ckpt")
    assert not made.exists()


@pytest.mark.parametrize("name", ["x.ckpt", "x.pth", "x.pt", "x.safetensors", "x.npz"])
def test_no_door_lets_a_pickle_in(name: str, made: Path, tlearn: Tlearn, small: str) -> None:
    objects: dict[str, Any] = {"weight": np.array([Toucher(made)], dtype=object)}
    with Path(name).open("wb") as file:
        np.savez(file, **objects) if name == "x.npz" else torch.save({"state_dict": Toucher(made)}, file)
    write_flat(Path("photos"), 2)
    refused(tlearn("fit", "-c", small, "--model.weights", name), name)
    refused(tlearn("fit", "-c", small, "--ckpt_path", name), name)
    refused(tlearn("predict", "--ckpt_path", name, "--data", "photos", "--out", "y.csv"), name)
    refused(tlearn("export", "--ckpt_path", name, "--out", "y.safetensors"), name)
    assert not Path("y.csv").exists()


@pytest.mark.fault("Cached features that somebody made up", "computed again; nothing ran")
def test_no_cache_entry_runs(made: Path, tlearn: Tlearn, small: str) -> None:
    fit = ("fit", "-c", small, "--model.freeze_backbone", "true")
    assert tlearn(*fit).code == 0
    entries = sorted(Path(".cache/tlearn").glob("*.npy"))
    honest = [path.read_bytes() for path in entries]
    assert entries
    wrong: list[Any] = [np.array([[Toucher(made)]], dtype=object), np.zeros((1, 3), np.float32), np.zeros(7)]
    for number, array in enumerate(wrong, 1):
        for path in entries:
            np.save(path, array, allow_pickle=True)
            record = json.loads(path.with_suffix(".json").read_text())
            record["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
            path.with_suffix(".json").write_text(json.dumps(record))
        assert tlearn("cache", "ls").code == 0
        assert tlearn(*fit).code == 0
        assert [path.read_bytes() for path in entries] == honest, number
    entries[0].with_suffix(".json").write_text("[" * 100_000)
    assert tlearn("cache", "ls").code == 0
    assert tlearn(*fit).code == 0
    assert [path.read_bytes() for path in entries] == honest


@pytest.mark.fault("What `doctor` remembers, made up by somebody", "looked at again; nothing ran")
def test_a_store_of_facts_that_somebody_made_up(made: Path, tlearn: Tlearn) -> None:
    write_splits(Path("pictures"))
    Path("folder.yaml").write_text(CONFIG)
    honest = tlearn("doctor", "-c", "folder.yaml")
    with sqlite3.connect(".cache/tlearn/pictures.sqlite") as database:
        blob = pickles(made)["reduce"]
        assert database.execute(
            f"UPDATE facts_{_VERSION} SET perceptual_hash = 'x', thumb = ?, mode = ?", (blob, blob)
        ).rowcount
    database.close()
    again = tlearn("doctor", "-c", "folder.yaml")
    assert (again.code, again.out) == (honest.code, honest.out)
    Path(".cache/tlearn/pictures.sqlite").write_bytes(pickles(made)["reduce"])
    again = tlearn("doctor", "-c", "folder.yaml")
    assert (again.code, again.out) == (honest.code, honest.out)


def test_a_checkpoint_names_no_code(made: Path, evil: str, tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "-c", small).code == 0
    honest = torch.load("runs/small/version_0/checkpoints/last.ckpt", weights_only=True)

    def forged(change: Any) -> str:
        content = pickle.loads(pickle.dumps(honest))
        change(content)
        torch.save(content, "x.ckpt")
        return "x.ckpt"

    for option, value in {
        "callbacks": [{"class_path": f"{evil}.Watch"}],
        "logger": {"class_path": f"{evil}.run"},
    }.items():
        forged(lambda content, o=option, v=value: content["tlearn_config"]["trainer"].update({o: v}))
        refused(tlearn("fit", "--ckpt_path", "x.ckpt", "--trainer.max_epochs", "3"), f"TLEARN_TRUST={evil}")
    for option in ("optimizer", "lr_scheduler"):
        spec = {"class_path": f"{evil}.run", "init_args": {}}
        forged(lambda content, o=option, v=spec: content["tlearn_config"]["model"].update({o: v}))
        refused(tlearn("test", "--ckpt_path", "x.ckpt"), f"TLEARN_TRUST={evil}")
    forged(lambda content: content["hyper_parameters"].update(backbone=f"{evil}.run"))
    with pytest.raises(TlearnError, match=f"TLEARN_TRUST={evil}"):
        load("x.ckpt")
    forged(lambda content: content["tlearn_config"].update(data=f"{evil}.Watch"))
    refused(tlearn("validate", "--ckpt_path", "x.ckpt"), f"TLEARN_TRUST={evil}")


def test_a_checkpoint_that_somebody_made_up(tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "-c", small).code == 0
    honest = torch.load("runs/small/version_0/checkpoints/last.ckpt", weights_only=True)
    laughs: Any = "ha"
    for _ in range(30):
        laughs = [laughs] * 10
    made_up = {"tlearn": 3, "global_step": "x", "loops": 3, "tlearn_config": {"data": laughs}, "hyper_parameters": 3}
    for key, value in made_up.items():
        torch.save(honest | {key: value}, "x.ckpt")
        started_s = time.monotonic()
        if key != "hyper_parameters":
            refused(tlearn("test", "--ckpt_path", "x.ckpt"), "does not hold what a checkpoint of tlearn holds")
        else:
            with pytest.raises(TlearnError, match="does not hold what a checkpoint of tlearn holds"):
                load("x.ckpt")
        assert time.monotonic() - started_s < 10


@pytest.mark.parametrize("about", ["", "[" * 100_000, "{}", '{"network": {"backbone": "os.system"}}', "[1]"])
def test_an_export_that_somebody_made_up(about: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(about)
    (tmp_path / "x.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(TlearnError):
        rebuild(tmp_path / "x.safetensors")


CALL = "{class_path: %s, init_args: {args: [touch, MADE]}}"
NAMES = {
    "data: {class_path: os.system, init_args: {command: touch MADE}}": "'os.system' is not taken from a config",
    "data: EVIL.Watch": "TLEARN_TRUST=EVIL",
    f"model: {{optimizer: {CALL % 'subprocess.Popen'}}}": "'subprocess.Popen' is not taken from a config",
    "model: {backbone: EVIL.run}": "TLEARN_TRUST=EVIL",
    "model: {backbone: {class_path: EVIL.run}}": "model.backbone",
    "model: {optimizer: EVIL.run}": "TLEARN_TRUST=EVIL",
    "model: {optimizer: {class_path: EVIL.run}}": "TLEARN_TRUST=EVIL",
    "model: {optimizer: {class_path: torch.hub.load, init_args: {repo_or_dir: a/b, model: c}}}": "'torch.hub.load' is",
    "model: {optimizer: torch.optim.adam.torch.hub}": "is not taken from a config",
    "model: {lr_scheduler: {class_path: LambdaLR, init_args: {lr_lambda: EVIL.run}}}": "TLEARN_TRUST=EVIL",
    "trainer: {callbacks: [{class_path: builtins.exec}]}": "'builtins.exec' is not taken from a config",
    "trainer: {callbacks: [{class_path: EVIL.Watch}]}": "TLEARN_TRUST=EVIL",
    "trainer: {callbacks: [{class_path: LambdaCallback, init_args: {on_fit_start: EVIL.run}}]}": "TLEARN_TRUST=EVIL",
    f"trainer: {{logger: {CALL % 'subprocess.Popen'}}}": "'subprocess.Popen' is not taken from a config",
    f"trainer: {{strategy: {CALL % 'subprocess.Popen'}}}": "'subprocess.Popen' is not taken from a config",
    f"trainer: {{plugins: [{CALL % 'subprocess.Popen'}]}}": "'subprocess.Popen' is not taken from a config",
    f"trainer: {{profiler: {CALL % 'subprocess.Popen'}}}": "'subprocess.Popen' is not taken from a config",
}


@pytest.mark.fault("Configs that name code to run", "refused in one line; nothing ran")
@pytest.mark.parametrize("text", NAMES)
def test_a_config_names_no_code(text: str, made: Path, evil: str, tlearn: Tlearn, small: str) -> None:
    Path("x.yaml").write_text(text.replace("EVIL", evil).replace("MADE", str(made)))
    refused(tlearn("fit", "-c", small, "-c", "x.yaml"), NAMES[text].replace("EVIL", evil))


def test_code_that_the_user_trusts_is_taken(
    evil: str, tlearn: Tlearn, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("x.yaml").write_text(f"trainer: {{callbacks: [{{class_path: {evil}.Watch}}]}}")
    monkeypatch.setenv("TLEARN_TRUST", "one two")
    refused(tlearn("fit", "-c", small, "-c", "x.yaml"), "TLEARN_TRUST: 'one two' cannot be trusted")
    monkeypatch.setenv("TLEARN_TRUST", f"another, {evil}")
    assert tlearn("fit", "-c", small, "-c", "x.yaml").code == 0
    assert (tmp_path / "made").exists()


def laughs(open_: str, close: str, item: str, first: str) -> str:
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{n}: &a{n} {open_}{', '.join(item % (i, n - 1) for i in range(10))}{close}" for n in range(1, 12)]
    return "\n".join(lines)


BOMBS = {
    "a: !!python/object/apply:os.system [touch MADE]": "could not determine a constructor for the tag",
    "a: !!python/object/new:os.system [touch MADE]": "could not determine a constructor for the tag",
    "a: !!python/name:os.system": "could not determine a constructor for the tag",
    laughs("[", "]", "*a%.0s%d", "[ha, ha]"): "more than 100,000 values",
    laughs("{", "}", "k%d: *a%d", "{ha: 1}"): "more than 100,000 values",
    laughs("{<<: [", "]}", "*a%.0s%d", "{ha: 1}"): "more than 100,000 values",
    "trainer: &a {x: *a}": "nested too deeply",
    "a: " + "[" * 3000 + "]" * 3000: "nested too deeply",
    "\n".join(" " * n + "a:" for n in range(1200)): "nested too deeply",
    "- " * 100_000: "nested too deeply",
    "a: " + "x " * 600_000: "more than 1,000,000 characters",
    "a: " + "9" * 5000: "4300 digits",
    "a: 2024-13-45": "month must be in 1..12",
    "a: !!binary x": "base64",
    "? [a]\n: b": "unhashable key",
}


@pytest.mark.fault("Configs that would fill the memory", "refused in one line")
@pytest.mark.parametrize("text", BOMBS, ids=range(len(BOMBS)))
def test_a_config_is_no_bomb(text: str, made: Path, tlearn: Tlearn) -> None:
    Path("x.yaml").write_text(text.replace("MADE", str(made)))
    before_kb, started_s = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    refused(tlearn("fit", "-c", "x.yaml"), BOMBS[text])
    assert time.monotonic() - started_s < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 300_000


@pytest.mark.parametrize("key", ["data", "model", "trainer"])
def test_a_config_in_a_config_is_no_bomb(key: str, tlearn: Tlearn, small: str) -> None:
    Path("part.yaml").write_text(laughs("[", "]", "*a%.0s%d", "[ha, ha]"))
    Path("x.yaml").write_text(f"{key}: part.yaml")
    with at_most(seconds=20):
        refused(tlearn("fit", "-c", small, "-c", "x.yaml"), "more than 100,000 values")


@pytest.mark.fault("Pictures that would fill the memory", "named as unreadable")
@pytest.mark.filterwarnings("ignore:::PIL")
def test_pictures_that_are_bombs_are_named(tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "-c", small).code == 0
    write_splits(Path("pictures"))
    Path("folder.yaml").write_text(CONFIG)
    for name, content in bombs().items():
        Path("pictures/train/cat", name).write_bytes(content)
    before_kb, started_s = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    found = tlearn("doctor", "-c", "folder.yaml", "--out", "doctor.json")
    (finding,) = (f for f in json.loads(Path("doctor.json").read_text())["findings"] if f["kind"] == "unreadable")
    assert {Path(group[0]).name for group in finding["files"]} == set(bombs())
    assert found.code in (0, 1, 2)
    refused(tlearn("fit", "-c", "folder.yaml"), f"{len(bombs())} ")
    run = "runs/small/version_0"
    assert tlearn("predict", "--ckpt_path", run, "--data", "pictures/train/cat", "--out", "y.csv").code == 0
    with Path("y.csv").open(newline="") as file:
        rows = {Path(row["path"]).name: row for row in csv.DictReader(file)}
    assert all(rows[name]["error"] and not rows[name]["class"] for name in bombs())
    assert not rows["cat000.png"]["error"]
    assert (
        rows["claims.png"]["error"]
        == "60,000 x 60,000 px = 3,600 megapixels; the limit is 179: data.init_args.max_megapixels"
    )
    with pytest.raises(TlearnError, match=r"claims\.tif: truncated"):
        load(run).predict(["pictures/train/cat/claims.tif"])
    assert time.monotonic() - started_s < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 400_000


@pytest.mark.filterwarnings("ignore:::PIL")
@pytest.mark.parametrize("name", harmless_bombs())
def test_pictures_that_try_are_cheap(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(harmless_bombs()[name])
    before_kb, started_s = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with suppress(UnreadableImageError):
        assert read_image(tmp_path / name, Framing(size_px=32)).shape == (3, 32, 32)
    assert time.monotonic() - started_s < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 100_000


BAD_NAMES = ["=HYPERLINK(1)", "../../up", "<script>alert(1)</script>"]


@pytest.fixture
def bad_table(tlearn: Tlearn) -> str:
    """A config with a table whose classes and files have such names, and a picture outside of its folder."""
    photos = write_flat(Path("tables/photos"), 24)
    photos[0].rename("tables/photos/-1+1.png")
    photos[1].rename("outside.png")
    names = ["photos/-1+1.png", "../outside.png", *(f"photos/{path.name}" for path in photos[2:])]
    rows = [(name, BAD_NAMES[n % 3], ("train", "val", "test")[n // 3 % 3]) for n, name in enumerate(names)]
    with Path("tables/t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    config = CONFIG.replace("ImageFolderDataModule", "ImageTableDataModule").replace(
        "pictures", "null, table: tables/t.csv"
    )
    Path("table.yaml").write_text(config)
    return "table.yaml"


def test_names_go_nowhere_and_are_no_formulas(bad_table: str, tlearn: Tlearn, tmp_path: Path) -> None:
    before, ours = set(tmp_path.rglob("*")) | set(tmp_path.parent.glob("*")), ("runs", ".cache", "a.csv", "b.csv")
    answer = tlearn("fit", "-c", bad_table)
    assert answer.code == 0, answer.err
    place = tmp_path / "tables"
    assert f"t.csv: 1 picture outside of {place}, the first ../outside.png; a report would show them" in answer.err
    assert tlearn("test", "-c", bad_table, "--ckpt_path", "best").code == 0
    run = Path("runs/table/version_0")
    assert tlearn("predict", "--ckpt_path", str(run), "--data", "tables/photos/-1+1.png", "--out", "a.csv").code == 0
    words = ("predict", "--ckpt_path", str(tmp_path / run), "--data", "*.png", "--out", "../../b.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir("tables/photos")
        assert tlearn(*words).code == 0
    after = set(tmp_path.rglob("*")) | set(tmp_path.parent.glob("*"))
    assert not [path for path in after - before if path.relative_to(tmp_path).parts[0] not in ours]
    tables = [run / "evaluation" / f"test_{kind}.csv" for kind in ("confusion", "per_class")]
    tables += [Path("a.csv"), Path("b.csv")]
    for table in tables:
        with table.open(newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if re.match(r"[=+\-@\t\r\n]", cell)], table
        if table.parent.name == "evaluation":
            assert "'=HYPERLINK(1)" in cells
            assert "../../up" in cells
    with Path("b.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["path"] == "'-1+1.png"
    assert "<script>alert" not in (run / "report.html").read_text()
    assert set(json.loads((run / "card.json").read_text())["class_names"]) == set(BAD_NAMES)


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\ta", "\ra", "\na", "'=1", "''@a", "\uff1d1"])
def test_a_cell_can_be_read_back(text: str) -> None:
    assert safe_cell(text) == "'" + text


@pytest.mark.parametrize("cell", ["a=1", "'a", "", " =1", "cat", 3, -1.5, None])
def test_other_cells_are_as_they_were(cell: Any) -> None:
    assert safe_cell(cell) == cell


def test_paths_that_no_file_can_have(bad_table: str, tlearn: Tlearn) -> None:
    table = Path("tables/t.csv")
    table.write_text(table.read_text().replace("../outside.png", "photos/a\0b.png"))
    refused(tlearn("fit", "-c", bad_table), "embedded null byte")
    table.write_text(table.read_text().replace("photos/a\0b.png", "../" * 30 + "etc/passwd"))
    refused(tlearn("fit", "-c", bad_table), "etc/passwd (no picture format)")
    table.write_text(table.read_text().replace("../" * 30 + "etc/passwd", "/dev/zero"))
    refused(tlearn("fit", "-c", bad_table), "/dev/zero (no regular file)")


PICTURES = [
    *(
        partial(encoded, kind)
        for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "TGA", "JPEG2000", "AVIF")
    ),
    partial(encoded, "TIFF", compression="tiff_lzw"),
    partial(encoded, "TIFF", compression="jpeg"),
    partial(encoded, "WEBP", lossless=True),
]
YAMLS = [
    b"trainer: {max_epochs: 1}\nmodel: {weights: null, optimizer: {class_path: SGD, init_args: {lr: 1e-3}}}\n",
    b"a: &x {b: [1, 2.5, ~, true, 2024-01-02]}\nc: *x\nd: !!binary aGk=\ne: |\n  text\n",
    b"f: {<<: {a: .inf}, g: 0x1F}\n? h\n: !!set {a, b}\ni: !!omap [a: 1:30:00]\n",
    b"data:\n  class_path: ImageFolderDataModule\n  init_args:\n    root: 'x'  # y\n    classes: [\"a\", b]\n",
]
COUNTS = [1000, pytest.param(50_000, marks=pytest.mark.slow)]


@pytest.mark.fault("Pictures with random bytes changed", "read, or named as unreadable")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("count", COUNTS)
def test_mutated_pictures_are_read_or_named(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draws, whole, outcomes = np.random.default_rng(count), [make() for make in PICTURES], [0, 0]
    for number in range(count):
        content = mutated(whole[number % len(whole)], whole, draws)
        monkeypatch.setattr(reading, "read_bytes", lambda path, content=content: content)
        said = ""
        with at_most(seconds=20):
            try:
                assert read_image(Path("x"), Framing(size_px=16)).shape == (3, 16, 16)
            except UnreadableImageError as error:
                said = str(error)
        assert "\n" not in said
        outcomes[bool(said)] += 1
    assert min(outcomes) > count / 10  # neither all damaged, nor all as they were


@pytest.mark.fault("Configs with random bytes changed", "read, or refused in one line")
@pytest.mark.parametrize("count", COUNTS)
def test_mutated_configs_are_read_or_refused(count: int, tmp_path: Path) -> None:
    draws, path, outcomes = np.random.default_rng(count), tmp_path / "x.yaml", [0, 0]
    for number in range(count):
        path.write_bytes(mutated(YAMLS[number % len(YAMLS)], YAMLS, draws))
        said = str(path)
        with at_most(seconds=20):
            try:
                assert isinstance(read_config(path), dict)
            except TlearnError as error:
                said = str(error)
        assert str(path) in said
        assert "\n" not in said
        outcomes[said != str(path)] += 1
    assert min(outcomes) > count / 10


@pytest.mark.parametrize("count", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_mutated_configs_are_parsed_or_refused(count: int, tlearn: Tlearn, small: str) -> None:
    draws, whole = np.random.default_rng(count), Path(small).read_bytes()
    for _ in range(count):
        Path("x.yaml").write_bytes(mutated(whole, [whole], draws))
        with at_most(seconds=60):
            answer = tlearn("fit", "-c", "x.yaml", "--print_config")
        assert answer.code == 0 or answer.err.splitlines()[-1].startswith("error: ")
        assert answer.code in (0, 2), answer.err
