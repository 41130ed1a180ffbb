"""Tables of pictures: one class an image, several, or a number; CSV and Parquet."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.models import get_model

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import CONFIG, picture
from tlearn import ImageTableDataModule, TlearnError

NAMES = ("cat", "dog", "eel")


@pytest.fixture(autouse=True)
def _pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number in range(30):
        picture(NAMES[number % 3], number).save(f"photos/{number:02d}.png")
    config = CONFIG.replace("ImageFolderDataModule", "ImageTableDataModule").replace("root: pictures", "table: t.csv")
    (tmp_path / "table.yaml").write_text(config)


# At the config's rate the last digits, other ones on every processor, decide how 18 pictures end.
GENTLE = ("--trainer.max_epochs", "20", "--model.optimizer.lr", "0.01")


def write(rows: Sequence[Sequence[Any]], path: str = "t.csv", delimiter: str = ",", encoding: str = "utf-8") -> str:
    with Path(path).open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def rows(label: Any, split: bool = True) -> list[list[Any]]:
    """A header and 30 rows: 18 to train, 6 to validate, 6 to test."""
    splits = ["train"] * 18 + ["valid"] * 6 + ["test"] * 6
    return [
        ["path", "label", *(["split"] if split else [])],
        *[[f"photos/{n:02d}.png", label(n), *([splits[n]] if split else [])] for n in range(30)],
    ]


def name_of(number: int) -> str:
    return NAMES[number % 3]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_one_class_an_image(tlearn: Tlearn, delimiter: str) -> None:
    write(rows(name_of), delimiter=delimiter, encoding="utf-8-sig")  # as Excel saves it
    answer = tlearn("fit", "--config", "table.yaml", "--trainer.max_epochs", "6")
    assert answer.code == 0, answer.err
    assert "train: 18 images of 3 classes (cat 6, dog 6, eel 6)" in answer.err
    assert "val: 6 images of 3 classes" in answer.err
    tested = tlearn("test", "--ckpt_path", "runs/table/version_0")
    assert float(tested.result["accuracy"].split()[0]) > 90


def test_parquet_and_splitting_off() -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    header, *body = rows(name_of, split=False)
    pandas.DataFrame(body, columns=header).to_parquet("t.parquet")
    data = ImageTableDataModule("t.parquet", val_fraction=0.2, size_px=16)
    data.setup("fit")
    assert (len(data.dataset("train")), len(data.dataset("val"))) == (24, 6)
    with pytest.raises(TlearnError, match="no test images"):
        data.setup("test")


def test_several_labels_in_one_column(tlearn: Tlearn) -> None:
    """Cats and dogs are furry, eels and dogs are fun; one picture is nothing at all."""
    labels = {"cat": "furry", "dog": "furry; fun", "eel": "fun"}
    write(rows(lambda n: "" if n == 0 else labels[name_of(n)]))
    data = ImageTableDataModule("t.csv", task="multilabel", size_px=16)
    data.setup("fit")
    assert data.class_names == ["fun", "furry"]
    assert data.dataset("train").targets[:4].tolist() == [[0, 0], [1, 1], [1, 0], [0, 1]]
    answer = tlearn("fit", "--config", "table.yaml", "--data.task", "multilabel", *GENTLE)
    assert answer.code == 0, answer.err
    assert float(answer.result["F1, mean of the classes"].removesuffix(" %")) > 90
    assert float(answer.result["mean average precision"].removesuffix(" %")) > 90
    assert re.fullmatch(r"\d+ of \d+, by val/loss, on \d+ validation images", answer.result["best epoch"])
    predicted = tlearn("predict", "--ckpt_path", "runs/table/version_0", "--data", "photos", "--out", "p.csv")
    assert predicted.code == 0, predicted.err
    with Path("p.csv").open() as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == ["path", "classes", "p_fun", "p_furry", "stranger", "error"]
    assert found[4]["classes"] == "fun;furry"
    for row in found:
        held = [name for name in ("fun", "furry") if float(row[f"p_{name}"]) >= 0.5]
        assert row["classes"] == ";".join(held)


def test_several_labels_in_columns() -> None:
    header = ["path", "furry", "fun"]
    write([header, *[[f"photos/{n:02d}.png", int(name_of(n) != "eel"), int(name_of(n) != "cat")] for n in range(30)]])
    data = ImageTableDataModule("t.csv", task="multilabel", label_column=["furry", "fun"], size_px=16)
    assert data.class_names == ["furry", "fun"]
    data.setup("fit")
    assert data.dataset("train").targets[:3].tolist() == [[1, 0], [1, 1], [0, 1]]


def test_a_number_an_image(tlearn: Tlearn) -> None:
    write(rows(lambda n: f"{n % 3 - 1}.5"))
    answer = tlearn("fit", "--config", "table.yaml", "--data.task", "regression", "--trainer.max_epochs", "1")
    assert answer.code == 0, answer.err
    assert answer.result["mean absolute error"].endswith(", in the unit of the values")
    assert tlearn("predict", "--ckpt_path", "runs/table/version_0", "--data", "photos", "--out", "p.csv").code == 0
    with Path("p.csv").open() as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == ["path", "value", "stranger", "error"]
    assert len({row["value"] for row in found}) == 30


def test_no_test_row_is_looked_at_before_test(tlearn: Tlearn) -> None:
    write(rows(name_of))
    Path("photos/29.png").write_bytes(b"broken")
    assert tlearn("fit", "--config", "table.yaml", "--trainer.max_epochs", "1").code == 0
    said = tlearn("test", "--ckpt_path", "runs/table/version_0").err
    assert "1 of 6 test pictures cannot be read" in said
    assert "; tlearn doctor t.csv --fix puts them on a list to leave out, " in said


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("path,label\nphotos/00.png,cat\nphotos/01.png\n", {}, r"row 3: 1 fields, the header has 2"),
        ("path,label\nphotos/00.png,cat\nphotos/01.png,\n", {}, r"row 3: no label; fill it in or remove the row"),
        ("path,label\n,cat\nphotos/01.png,dog\n", {}, r"row 2: no path; fill it in or remove the row"),
        ("path,label\n\n\nphotos/00.png,cat\n,dog\n", {}, r"row 5: no path"),
        ("path,label,label\nphotos/00.png,cat,dog\n", {}, r"two columns of one name"),
        (
            "path,a\nphotos/00.png,0.7\n",
            {"label_column": ["a"], "task": "multilabel"},
            r"row 2: a is '0.7', expected 0 or 1",
        ),
        ("path,label\n", {}, r"t.csv has no rows"),
        ("", {}, r"t.csv has no rows"),
        ("path,lable\nphotos/00.png,cat\n", {}, r"unknown column of .*t.csv 'label'. Did you mean 'lable'"),
        ("path,label\nphotos/00.png,cat\n", {}, r"found 1 class \(cat\) in the column label"),
        ("path,label,split\nphotos/00.png,cat,trian\n", {}, r"row 2: split is 'trian', expected train, val or test"),
        (
            "path,label,split\na.png,cat,x\nb.png,cat,test\nc.png,cat,y\n",
            {},
            r"2 rows \(2, 4\): split is 'x', expected",
        ),
        ("path,label\nphotos/00.png,1.5\nphotos/01.png,tall\n", {"task": "regression"}, r"row 3: 'tall' is no number"),
        ("path,label\nphotos/00.png,nan\n", {"task": "regression"}, r"row 2: 'nan' is no number"),
        ("path,a,b\nphotos/00.png,1,0\n", {"label_column": ["a", "b"]}, r"lists 2 columns, .* task: multilabel"),
    ],
)
def test_a_wrong_table_is_explained(content: str, options: dict[str, Any], message: str) -> None:
    Path("t.csv").write_text(content)
    with pytest.raises(TlearnError, match=message):
        ImageTableDataModule("t.csv", **options)


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    Path("t.csv").write_bytes("path,label\nphotos/ü.png,cat\n".encode("latin-1"))
    with pytest.raises(TlearnError, match="not readable as CSV in UTF-8"):
        ImageTableDataModule("t.csv")
    Path("t.parquet").write_text("path,label")
    with pytest.raises(TlearnError, match="not readable as Parquet"):
        ImageTableDataModule("t.parquet")
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    twice = pyarrow.table([["photos/00.png"], ["cat"], ["dog"]], names=["path", "label", "label"])
    parquet.write_table(twice, "t.parquet")
    with pytest.raises(TlearnError, match=r"not readable as Parquet .*label") as fault:
        ImageTableDataModule("t.parquet")
    assert "\n" not in str(fault.value)
    Path("t.xlsx").touch()
    with pytest.raises(TlearnError, match=r"expected a table named .csv or .parquet"):
        ImageTableDataModule("t.xlsx")
    with pytest.raises(TlearnError, match=f"no file at {tmp_path}/missing.csv"):
        ImageTableDataModule("missing.csv")


def test_a_class_of_other_rows_alone_is_named() -> None:
    table = [*rows(name_of), ["photos/00.png", "fox", "val"]]
    write(table)
    data = ImageTableDataModule("t.csv", size_px=16)
    with pytest.raises(TlearnError, match=r"val rows have a class that is not trained on: fox \(1 image\)"):
        data.setup("fit")
    data = ImageTableDataModule("t.csv", size_px=16, unknown_classes="ignore")
    data.setup("fit")
    assert len(data.dataset("val")) == 6


def test_missing_pictures_are_named() -> None:
    table = rows(name_of)
    table[3][0] = "photos/nowhere.png"
    write(table)
    with pytest.raises(TlearnError, match=r"1 of 18 train pictures cannot be read: .*nowhere.png \(No such file"):
        ImageTableDataModule("t.csv", size_px=16).setup("fit")


@pytest.mark.parametrize("option", ["label_smoothing=0.1", "class_weights=balanced", "head_init=probe"])
def test_what_needs_one_class_is_refused(tlearn: Tlearn, option: str) -> None:
    write(rows(lambda n: name_of(n)))
    answer = tlearn("fit", "--config", "table.yaml", "--data.task", "multilabel", f"--model.{option}")
    assert answer.code == 2
    assert re.search(rf"error: model.{option.split('=')[0]}.* (task is multilabel|several labels)", answer.err)


def test_mean_average_precision_is_scikit_learns() -> None:
    from sklearn.metrics import average_precision_score, f1_score

    from tlearn.models.metrics import EpochMetrics

    logits, targets = torch.randn(200, 4), (torch.rand(200, 4) < 0.3).float()
    targets[:, 3] = 0  # a class without images counts for nothing
    metrics = EpochMetrics("multilabel", 4, "val")
    for part in range(0, 200, 30):
        metrics.update(logits[part : part + 30], torch.tensor(0.0), targets[part : part + 30])
    found = metrics.compute()
    expected = average_precision_score(targets[:, :3], logits[:, :3], average="macro")
    assert float(found["val/map"]) == pytest.approx(expected, abs=1e-6)
    f1 = f1_score(targets, logits > 0, average="macro", zero_division=0)
    assert float(found["val/f1"]) == pytest.approx(f1, abs=1e-2)


def test_gaps_and_lists_of_parquet() -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    paths = [f"photos/{n:02d}.png" for n in range(4)]
    pandas.DataFrame({"path": paths, "label": [1.0, 2.0, None, 1.0]}).to_parquet("t.parquet")
    with pytest.raises(TlearnError, match=r"t.parquet, row 3: no label; fill it in or remove the row"):
        ImageTableDataModule("t.parquet")
    pandas.DataFrame({"path": paths, "label": [["a", "b"], ["b"], [], ["a"]]}).to_parquet("t.parquet")
    data = ImageTableDataModule("t.parquet", task="multilabel")
    assert data.class_names == ["a", "b"]
    pandas.DataFrame({"path": paths, "label": ["a", None, "a;b", "b"]}).to_parquet("t.parquet")
    assert ImageTableDataModule("t.parquet", task="multilabel").class_names == ["a", "b"]
    assert ImageTableDataModule("t.parquet", task="multilabel", classes=["b"]).class_names == ["b"]


def test_columns_of_yes_and_no() -> None:
    header = ["path", "furry", "fun"]
    write([header, ["photos/00.png", "True", ""], ["photos/01.png", "0", "1.0"], ["photos/02.png", "", "false"]])
    data = ImageTableDataModule("t.csv", task="multilabel", label_column=["furry", "fun"], val_fraction=0.4)
    files = data.list_split("train")
    assert files is not None
    unknown = pytest.approx(float("nan"), nan_ok=True)
    assert files.targets.tolist() == [[1, unknown], [0, 1], [unknown, 0]]


def test_the_delimiter_is_the_one_that_gives_the_path_column() -> None:
    Path("t.csv").write_text('path;"label, text"\n' + "".join(f"photos/{n:02d}.png;{name_of(n)}\n" for n in range(6)))
    assert ImageTableDataModule("t.csv", label_column="label, text").class_names == ["cat", "dog", "eel"]


@pytest.mark.slow
def test_advice_for_several_labels(tlearn: Tlearn) -> None:
    """No head can be solved for them, so that one is trained; the score is their mean average precision."""
    labels = {"cat": "furry", "dog": "furry; fun", "eel": "fun"}
    write(rows(lambda n: labels[name_of(n)]))
    torch.save(get_model("resnet18", weights=None).state_dict(), "net.pth")
    words = ["--data.task", "multilabel", "--trainer.max_epochs", "1", "--model.weights", "net.pth"]
    answer = tlearn("advise", "--config", "table.yaml", *words)
    assert answer.code == 0, answer.err
    assert "expected mean average precision at 32 px" in answer.out
    found = json.loads(Path("runs/advise/table/version_0/advice.json").read_text())
    names = [each["candidate"]["name"] for each in found["advice"]["outlooks"]]
    assert "lp_ft" not in names
    assert {"frozen", "partial", "full", "scratch"} <= set(names)
    fitted = tlearn("fit", "--config", "advised.yaml")
    assert fitted.code == 0, fitted.err


@pytest.mark.parametrize(
    ("beginning", "row", "end"),
    [
        ("sep=;\r\npath;label", "{};{}", ""),
        ('"sep=,"\npath,label', "{},{}", ""),
        ("sep=\t\npath\tlabel", "{}\t{}", ""),
        ("path,label,,", "{},{},,", ""),
        ("path,label", "{},{},,", ""),
        (",path,label", "7,{},{}", ""),
        ("path,label", "{},{}", "\n,\n, \n\n,"),
        ("Unnamed: 0,path,label", "7,{},{}", ""),
    ],
)
def test_what_excel_and_pandas_add_to_a_table(beginning: str, row: str, end: str) -> None:
    body = [row.format(f"photos/{number:02d}.png", name_of(number)) for number in range(12)]
    Path("t.csv").write_text("\n".join([beginning, *body]) + end, encoding="utf-8-sig", newline="")
    data = ImageTableDataModule("t.csv", size_px=16)
    data.setup("fit")
    assert data.class_names == list(NAMES)
    assert sum(len(data.dataset(split)) for split in ("train", "val")) == 12


def test_lines_are_those_that_an_editor_shows() -> None:
    Path("t.csv").write_text("sep=;\npath;label\n;\nphotos/00.png;cat\nphotos/01.png;\n")
    with pytest.raises(TlearnError, match="row 5: no label"):
        ImageTableDataModule("t.csv")


def test_rows_without_a_label_are_named_at_once_and_can_be_left_out(tlearn: Tlearn) -> None:
    table = rows(lambda n: name_of(n) if n % 5 else "")
    table[4][0] = " "
    write(table)
    answer = tlearn("fit", "--config", "table.yaml")
    assert answer.code == 2
    way = "fill it in or remove the row, or leave it out: --data.init_args.on_error skip"
    assert f"t.csv, row 5: no path; {way}" in answer.err
    table[4][0] = "photos/03.png"
    write(table)
    answer = tlearn("doctor", "--config", "table.yaml")
    assert answer.code == 2
    assert "t.csv, 6 rows (2, 7, 12, 17, 22, 27): no label; fill it in or remove the row, or leave it out" in answer.err
    answer = tlearn("fit", "--config", "table.yaml", "--data.on_error", "skip", "--trainer.max_epochs", "1")
    assert answer.code == 0, answer.err
    assert "train: 14 images of 3 classes (cat 4, dog 5, eel 5)" in answer.err
    assert "left out 4 rows without a label" in answer.err
    assert "left out 1 row without a label" in answer.err  # of val


def test_rows_without_a_value_are_named_at_once_and_can_be_left_out() -> None:
    """In a regression, too: a row lacks its label where any of its columns is empty."""
    body = [[f"photos/{n:02d}.png", n, "" if n in (3, 7) else n / 2] for n in range(10)]
    write([["path", "long", "wide"], *body, ["", "", ""], ["", 1, "abc"]])
    columns: dict[str, Any] = {"task": "regression", "label_column": ["long", "wide"], "size_px": 16}
    with pytest.raises(TlearnError, match=r"t.csv, row 13: no path"):
        ImageTableDataModule("t.csv", **columns)
    write([["path", "long", "wide"], *body])
    with pytest.raises(TlearnError, match=r"t.csv, 2 rows \(5, 9\): no label; fill it in or remove the row, or leave"):
        ImageTableDataModule("t.csv", **columns)
    write([["path", "long", "wide"], *body, ["", "", ""], ["", 1, "abc"]])
    data = ImageTableDataModule("t.csv", on_error="skip", **columns)
    files = data.list_split("train")
    assert files is not None
    assert files.targets.tolist() == [[n, n / 2] for n in range(10) if n not in (3, 7)]
    assert files.remarks == "left out 1 row without a path; left out 2 rows without a label"


def test_bytes_of_parquet_are_texts() -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    paths, labels = [f"photos/{n:02d}.png".encode() for n in range(6)], [b"cat", "öl".encode()] * 3
    parquet.write_table(pyarrow.table({"path": paths, "label": labels, "raw": [b"\xff"] * 6}), "t.parquet")
    data = ImageTableDataModule("t.parquet", size_px=16)
    files = data.list_split("train")
    assert files is not None
    assert (data.class_names, files.names[1]) == (["cat", "öl"], "photos/01.png")
    with pytest.raises(TlearnError, match="the column raw holds bytes that are no text in UTF-8"):
        ImageTableDataModule("t.parquet", label_column="raw")


def test_empty_rows_of_parquet_are_left_out() -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    paths = [f"photos/{n:02d}.png" for n in range(6)]
    frame = pandas.DataFrame({"path": [*paths, None, None], "label": [*["a", "b"] * 3, None, None]})
    frame.to_parquet("t.parquet")
    data = ImageTableDataModule("t.parquet", size_px=16)
    files = data.list_split("train")
    assert files is not None
    assert files.names == paths


def test_a_checkpoint_without_an_option_goes_on_as_before(tlearn: Tlearn) -> None:
    """Before there was ``empty_labels`` an empty cell said no; the default has changed, the run has not."""
    header = ["path", "furry", "fun"]
    write([header, *[[f"photos/{n:02d}.png", "1" if n % 3 else "", n % 2] for n in range(12)]])
    words = ["--config", "table.yaml", "--data.task", "multilabel", "--data.label_column", "[furry, fun]"]
    answer = tlearn("fit", *words, "--data.empty_labels", "no", "--trainer.max_epochs", "1")
    assert answer.code == 0, answer.err
    path = Path("runs/table/version_0/checkpoints/last.ckpt")
    content = torch.load(path, weights_only=True)
    for name in ("empty_labels", "uncertain_labels", "min_per_class"):
        del content["tlearn_config"]["data"]["init_args"][name]
    torch.save(content, path)
    resumed = tlearn("fit", "--ckpt_path", str(path), "--trainer.max_epochs", "2")
    assert resumed.code == 0, resumed.err
    assert "empty_labels: 'no'" in Path("runs/table/version_0/config.yaml").read_text().replace('"', "'")
