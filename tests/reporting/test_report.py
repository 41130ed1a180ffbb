"""`report.html` and `card.md` show what a run's folder holds: every number, nothing that acts, in both themes."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

from tests.helpers.made_run import (
    CONFUSION,
    HOSTILE,
    NAMES,
    Page,
    csv_of,
    full_run,
    made_card,
    made_evaluation,
    made_training,
    write_run,
)
from tlearn.base.errors import TlearnError
from tlearn.reporting.card import html
from tlearn.reporting.card.curves import read_curves
from tlearn.reporting.card.html.page import report_html
from tlearn.reporting.card.markdown import card_markdown


def page_of(folder: Path) -> Page:
    return Page(report_html(folder))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page_of(full_run(tmp_path_factory.mktemp("runs") / "finetune"))


def cells(page: Page, region: str) -> list[list[str]]:
    """The rows of the table in the region of this name."""
    start = page.html.index(f'aria-label="{region}"')
    table = page.html[start : page.html.index("</table>", start)]
    rows = re.findall(r"<tr>.*?</tr>", table, re.DOTALL)
    return [[re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


def charts_of(page: Page) -> dict[str, str]:
    """What is said of a chart to its SVG."""
    return dict(re.findall(r'<svg [^>]*role="img" aria-label="([^"]*)">(.*?)</svg>', page.html, re.DOTALL))


SCRIPT = (Path(html.__file__).parent / "templates/report.js").read_text()


def script_policy(script: str) -> str:
    """The policy of a page that may run this script and nothing else."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"


def polylines(svg: str) -> list[list[tuple[float, float]]]:
    return [
        [(float(x), float(y)) for x, y in (pair.split(",") for pair in points.split())]
        for points in re.findall(r'<polyline class="line" points="([^"]*)"', svg)
    ]


def test_page_says_what_came_of_the_run(page: Page) -> None:
    assert page.texts["title"][0] == "finetune, version 0 - tlearn"  # those of SVG marks follow
    assert page.texts["h1"] == ["finetune version 0"]
    for said in (
        "finished after 5 epochs",
        "best validation accuracy, epoch 4 86.4 %",
        "test accuracy 85.4 %",
        "Started 2026-11-26 08:30 UTC Took 2 min 3 s Device cpu (2 cores)",
        "resnet18, starting from the weights DEFAULT, learned 3 classes from 903 images; 8,395,267 of its 11,178,051",
        "129 of 151 images right, 22 wrong, by the network of epoch 4.",
        "75 frozen tensors were compared before and after 5 epochs: unchanged, to the last bit.",
        "3 pictures have a copy in val",
        "a.jpg = b.jpg",
        "Fingerprint ab12cd34",
        "Calibrated temperature 1.31",
        "root my pictures batch_size 64 augment.flip true augment.mixup_alpha 0.0",
        "torch 2.14.1",
    ):
        assert said in page.text
    assert page.texts["h2"] == [
        *("Results", "Pictures", "Classes, the hardest first", "Is its confidence right?", "Curves"),
        *("Network", "Data", "Environment", "Run it again, and use it"),
    ]


def test_page_opens_offline_and_runs_nothing(page: Page) -> None:
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    (script,) = page.texts["script"]
    assert script == SCRIPT
    assert script_policy(script) == policy["content"]
    assert not {"link", "iframe", "object", "form", "base", "button", "dialog"} & {tag for tag, _ in page.elements}
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href", "xlink:href", "srcset", "data", "action"):
            assert "//" not in attributes.get(name, "") or attributes[name].startswith("data:image/"), attributes
    assert "@import" not in page.html
    assert "url(" not in page.html
    assert page.all("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert {link["href"] for link in page.all("a") if link["href"][0] != "#"} == {"config.yaml"}
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in page.all("svg"))
    assert all(picture["alt"] for picture in page.all("img"))


def test_size_without_pictures(page: Page) -> None:
    assert len(re.sub(r"data:image/[^\"]*", "", page.html).encode()) < 60_000


@pytest.mark.parametrize("split", ["Test", "Validation"])
def test_confusion_matrix_has_every_number_in_its_cell(page: Page, split: str) -> None:
    rows = cells(page, f"Confusion matrix, {split}")
    assert rows[0] == ["", *NAMES, "all"]
    for row, name, numbers in zip(rows[1:], NAMES, CONFUSION, strict=True):
        assert row == [name, *map(str, numbers), str(sum(numbers))]


def test_classes_begin_with_the_hardest(page: Page) -> None:
    rows = [[cell.replace("\u00a0", " ") for cell in row] for row in cells(page, "Classes, Test")]
    assert rows[0] == ["class", "images", "accuracy", "", "precision", "F1"]
    assert rows[1] == ["cat", "50", "82.0 %", "", "87.0 %", "85.0 %"]
    assert [row[0] for row in rows[1:]] == ["cat", "dog", "horse"]


def test_curves_have_a_point_for_each_epoch(page: Page) -> None:
    charts = {said: svg for said, svg in charts_of(page).items() if " over 5 epochs" in said}
    assert list(charts) == [
        "Loss over 5 epochs: val from 0.9 to 0.5; train from 1.2 to 0.4; best epoch 4",
        "Accuracy over 5 epochs: val from 60\u00a0% to 80\u00a0%; train from 50\u00a0% to 86\u00a0%; best epoch 4",
        "Learning rate over 5 epochs: head from 0.001 to 0.0002; layer4 from 0.0001 to 2e-05",
    ]
    loss, accuracy, rates = charts.values()
    for svg in (loss, accuracy, rates):
        assert [len(line) for line in polylines(svg)] == [5, 5]
        assert 'stroke-dasharray="6 3"' in svg
    for svg in (loss, accuracy):
        assert ">val</text>" in svg
        assert ">train</text>" in svg
        assert "best: epoch 4" in svg
        ((ring_x, ring_y),) = re.findall(r'class="ring" cx="([\d.]+)" cy="([\d.]+)"', svg)
        assert (float(ring_x), float(ring_y)) == polylines(svg)[0][3]
    heights = [y for _, y in polylines(loss)[0]]
    assert heights == sorted(heights)  # the loss falls: its points go down the page
    assert "best: epoch" not in rates


def test_reliability_before_and_after(page: Page) -> None:
    said = "Reliability diagram; ECE before calibration 5.1\u00a0%, after calibration 1.2\u00a0%"
    svg = charts_of(page)[said]
    assert "before: ECE 5.1\u00a0%" in svg
    assert "after: ECE 1.2\u00a0%" in svg
    # Five of fifteen bins are empty, and the first that is not has fewer than ten images: it is faint, with its line.
    assert [len(line) for line in polylines(svg)] == [2, 9, 2, 9]
    faint = re.findall(r'<g class="faint">(.*?)</g>', svg)
    assert [re.findall(r"<title>(\d+) images", each) for each in faint] == [[], ["9"], [], ["9"]]
    assert "19 images, confidence" not in svg
    assert "18 images, confidence 0.97, accuracy 0.92" in svg


def test_mistakes_are_shown_with_their_pictures(page: Page) -> None:
    pictures = page.all("img")
    assert [picture["src"][:22] for picture in pictures[:2]] == ["data:image/png;base64,", "data:image/jpeg;base64"]
    assert pictures[0]["alt"] == "cat/000.jpg (true cat, said dog, 98.3\N{NO-BREAK SPACE}%)"
    assert "true cat said dog, 98.3 %" in page.text


@pytest.mark.parametrize(
    "source",
    [
        "https://example.org/x.png",
        "data:image/svg+xml;base64,PHN2Zy8+",
        'data:image/png;base64,AAAA" onerror="alert(1)',
        "data:image/png;base64,AAAA\n",
        "data:text/html;base64,AAAA",
        17,
        None,
    ],
)
def test_other_pictures_are_left_out(tmp_path: Path, source: object) -> None:
    evaluation = made_evaluation("val")
    evaluation["worst"] = [evaluation["worst"][0] | {"picture": source, "grad_cam": source}]
    evaluation["right"] = []
    page = page_of(write_run(tmp_path / "run", made_card(), csv_of(5), val=evaluation))
    assert page.all("img") == []
    assert "no picture" in page.text
    assert "true cat said dog" in page.text


def test_commands_can_be_copied(page: Page) -> None:
    assert page.texts["pre"] == [
        "tlearn fit --config finetune.yaml --data.init_args.root 'my pictures'",
        "tlearn test --ckpt_path best",
        "tlearn predict runs/finetune/version_0 PHOTOS --out predictions.csv",
    ]


def test_hostile_names_do_nothing_in_the_page(tmp_path: Path) -> None:
    card = made_card(HOSTILE)
    card["name"], card["command"] = HOSTILE[0], HOSTILE[1]
    card["model"]["backbone"] = HOSTILE[1]
    card["data"]["options"] = {HOSTILE[0]: HOSTILE}
    card["doctor"]["findings"] = [{"severity": "note", "what": HOSTILE[0], "files": [HOSTILE]}]
    evaluation = made_evaluation("test", HOSTILE)
    csv = csv_of(5).replace("SGD/head", "<b>&").replace("SGD/layer4", HOSTILE[0])
    card["advice"] = {"strategy": HOSTILE[0], "of": HOSTILE[0], "score": 0.9, "low": 0.8, "high": 1.0, "changed": []}
    evaluation["explained"] = HOSTILE[0]
    training = made_training(HOSTILE)
    page = page_of(write_run(tmp_path / "run", card, csv, test=evaluation, train=training))
    assert page.texts["script"] == [SCRIPT]
    assert page.texts["b"] == ["Test:", "note"]  # the severity of the one finding
    assert not [attributes for _, attributes in page.elements if any(name.startswith("on") for name in attributes)]
    assert [picture["src"][:11] for picture in page.all("img")] == ["data:image/"] * 9
    assert page.texts["h1"] == ["<script>alert(1)</script> version 0"]
    assert cells(page, "Confusion matrix, Test")[0][1] == "&lt;script&gt;alert(1)&lt;/script&gt;"
    assert "a\\nb | c\\u202ed" in page.text
    assert "\u202e" not in page.html
    assert page.texts["pre"][0] == '"><img src=x onerror=alert(2)>'
    assert "<b>&" in page.html.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def test_interrupted(tmp_path: Path) -> None:
    card = made_card() | {"status": "interrupted", "epochs": {"done": 3, "planned": 20}, "test": None}
    page = page_of(write_run(tmp_path / "run", card, csv_of(3)))
    said = "This run was interrupted after 3 of 20 epochs. What follows is what there was by then."
    assert page.texts["strong"] == [said]
    assert page.html.index(said) < page.html.index("86.4")
    assert "Test" not in page.texts["h2"]
    assert f"**{said}**" in card_markdown(card)


def test_best_epoch_is_not_guessed_where_the_card_does_not_know_it(tmp_path: Path) -> None:
    card = made_card()
    card["best"] |= {"epoch": None, "value": 0.7}
    page = page_of(write_run(tmp_path / "run", card, csv_of(5)))
    assert "best validation accuracy 70.0 %" in page.text
    assert "best: epoch" not in page.html


def test_failed(tmp_path: Path) -> None:
    card = made_card() | {"status": "failed: no space left on <disk>", "epochs": {"done": 0, "planned": 20}}
    card |= {"best": None, "test": None, "metrics": None}
    page = page_of(write_run(tmp_path / "run", card))
    said = "This run failed after 0 of 20 epochs: no space left on <disk>. What follows is what there was by then."
    assert page.texts["strong"] == [said]
    assert "Curves" not in page.texts["h2"]
    assert page.texts["pre"][0].startswith("tlearn fit")
    assert "No result is on record." in card_markdown(card)


def test_test_only(tmp_path: Path) -> None:
    card = made_card() | {"status": "tested", "epochs": None, "best": None, "audit": None, "metrics": {}}
    page = page_of(write_run(tmp_path / "run", card, test=made_evaluation("test") | {"epoch": 0}))
    assert "tested; no training took place in this folder" in page.text
    assert "resnet18 was tested on 151 test images." in page.text
    assert "129 of 151 images right, 22 wrong." in page.text
    assert page.texts["h2"][0] == "Results"
    assert "Curves" not in page.texts["h2"]
    assert "No audit is on record." in page.text


def test_regression(tmp_path: Path) -> None:
    card = made_card([]) | {"task": "regression"}
    card["best"] = {"monitor": "val/loss", "value": 0.5, "epoch": 4, "checkpoint": "checkpoints/best.ckpt"}
    card["test"]["metrics"] = {"test/loss": 4.0, "test/mae": 1.25, "test/r2": 0.9}
    mistake = {"picture": None, "name": "a.jpg", "true": "34", "predicted": "51.2", "probability": None, "error": 17.2}
    evaluation = made_evaluation("test") | {"task": "regression", "class_names": [], "confusion": None}
    evaluation |= {"per_class": [], "calibration": None, "worst": [mistake]}
    evaluation["scatter"] = [[float(k), k + 0.5] for k in range(40)]
    page = page_of(write_run(tmp_path / "run", card, csv_of(5, "mae"), test=evaluation))
    assert "learned to estimate a value from 903 images" in page.text
    assert "best validation loss, epoch 4 0.5000" in page.text
    assert "test mean absolute error 1.2500" in page.text
    assert "R\N{SUPERSCRIPT TWO} 0.9000" in page.text
    assert "true 34 said 51.2 error +17.2" in page.text
    charts = charts_of(page)
    assert {"Loss", "Mean absolute error"} < {said.partition(" over")[0] for said in charts}
    assert charts["Predicted over true values of 40 images"].count("<circle") == 40


def test_multilabel(tmp_path: Path) -> None:
    card = made_card() | {"task": "multilabel"}
    card["best"] = {"monitor": "val/f1", "value": 0.71, "epoch": 4, "checkpoint": "checkpoints/best.ckpt"}
    card["test"]["metrics"] = {"test/f1": 0.7, "test/map": 0.8}
    evaluation = made_evaluation("test") | {"task": "multilabel", "confusion": None}
    page = page_of(write_run(tmp_path / "run", card, csv_of(5, "f1"), test=evaluation))
    assert "learned 3 labels, any number to a picture, from 903 images" in page.text
    assert "test F1, mean of the classes 70.0 %" in page.text
    assert cells(page, "Classes, Test")[0][2] == "recall"
    assert "Confusion matrix" not in page.text
    assert any(said.startswith("F1 over 5 epochs") for said in charts_of(page))


def test_many_classes_are_listed_not_tabled(tmp_path: Path) -> None:
    names = [f"class {k}" for k in range(100)]
    matrix = [[50 if t == p else 9 if (t, p) == (7, 3) else int(p == t + 1) for p in range(100)] for t in range(100)]
    evaluation = made_evaluation("test") | {"class_names": names, "confusion": matrix}
    evaluation["per_class"] = [
        {"name": name, "images": 50, "accuracy": k / 100, "precision": None, "f1": None} for k, name in enumerate(names)
    ]
    folder = write_run(tmp_path / "run", made_card(names), csv_of(5), test=evaluation, val=evaluation)
    (folder / "evaluation" / "test_per_class.csv").touch()
    page = page_of(folder)
    rows = cells(page, "Most frequent confusions, Test")
    assert rows[1] == ["class 7", "class 3", "9", "15.0\u00a0%"]
    assert len(rows) == 31
    assert page.having("matrix") == []
    assert "the 40 hardest of 100 classes" in page.text
    assert "and 60 more: evaluation/test_per_class.csv" in page.text
    assert cells(page, "Classes, Test")[40][0] == "class 39"
    assert "evaluation/test_confusion.csv" not in page.html  # it is not there
    assert len(re.sub(r"data:image/[^\"]*", "", page.html).encode()) < 100_000


def test_one_epoch_is_a_point(tmp_path: Path) -> None:
    card = made_card() | {"epochs": {"done": 1, "planned": 1}}
    card["best"]["epoch"] = 1
    page = page_of(write_run(tmp_path / "run", card, csv_of(1)))
    loss, accuracy = charts_of(page).values()  # a rate that does not change is not drawn
    for svg in (loss, accuracy):
        assert [len(line) for line in polylines(svg)] == [1, 1]
        assert "nan" not in svg
        assert svg.count("<title>") == 2
        assert "best: epoch 1" in svg
    assert "val, epoch 1: 0.9" in loss


def test_a_thousand_epochs_keep_their_peaks_and_stay_small(tmp_path: Path) -> None:
    card = made_card() | {"epochs": {"done": 1000, "planned": 1000}}
    lines = csv_of(1000).splitlines(keepends=True)
    lines = [line.replace(line.split(",")[-1], "7.5\r\n") if line.startswith("613,") else line for line in lines]
    page = page_of(write_run(tmp_path / "run", card, "".join(lines)))
    loss = next(iter(charts_of(page).values()))
    line = polylines(loss)[0]
    assert 150 < len(line) <= 300
    assert min(y for _, y in line) < 60 < sorted(y for _, y in line)[1]
    assert len(page.html.encode()) < 100_000


def test_card_alone_is_enough(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run", {"format": 1, "name": None, "best": None, "news": [1]}))
    assert page.texts["h1"] == ["run"]
    assert "how it ended is not known" in page.text
    assert card_markdown({"format": 1}).startswith("# run\n")


def test_no_card_is_a_fault_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(TlearnError, match=r"a report needs the card of a run, .*card\.json: .*No such file"):
        report_html(tmp_path)
    (tmp_path / "card.json").write_text("[1]")
    with pytest.raises(TlearnError, match="is not the card of a run"):
        report_html(tmp_path)


def test_evaluation_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    folder = full_run(tmp_path / "run")
    (folder / "evaluation" / "val.json").write_text('{"split": "val", "conf')
    page = page_of(folder)
    assert "Confusion matrix, Test" in page.html
    assert "Confusion matrix, Validation" not in page.html
    assert "loss 0.4417 0.6000 accuracy 85.4 % 75.0 %" in page.text  # of epoch 4, from metrics.csv


def test_metrics_of_a_killed_and_resumed_run(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    resumed = "epoch,step,train/loss,val/loss,lr-SGD\r\n,30,,,0.5\r\n2,44,0.3,0.4,\r\n3,59,nan,0.3,\r\n3,59,0.2,"
    first = "epoch,lr-SGD,step,train/loss\r\n,0.7,0,\r\n0,,14,1.0\r\n1,,29,0.8\r\n,0.5,30,\r\n"
    path.write_text(first + resumed, newline="")
    curves = read_curves(path)
    assert curves["train/loss"] == {1: 1.0, 2: 0.8, 3: 0.3}
    assert curves["val/loss"] == {3: 0.4, 4: 0.3}
    assert curves["lr-SGD"] == {1: 0.7, 3: 0.5}
    assert read_curves(tmp_path / "nothing.csv") == {}


def luminance(colour: str) -> float:
    """WCAG 2's relative luminance."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrast(page: Page, theme: int) -> None:
    root = re.findall(r":root \{(.*?)\}", page.html, re.DOTALL)[theme]
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", root))
    for text in ("ink", "muted", "link"):
        for ground in ("page", "panel"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for shade in range(8):
        text = re.findall(rf"\.r{shade} \{{ background: var\(--r{shade}\); color: var\(--(\w+)\)", page.html)[0]
        assert contrast(colours[text], colours[f"r{shade}"]) >= 4.5, shade
    for series in range(6):
        assert contrast(colours[f"s{series}"], colours["page"]) >= 3, series  # WCAG 2.2, 1.4.11
    ramp = [luminance(colours[f"r{shade}"]) for shade in range(8)]
    assert ramp == sorted(ramp, reverse=theme == 0)
