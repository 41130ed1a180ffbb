"""What a reader of `report.html` finds: the score first, what was trained, pictures side by side, a way around."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.helpers.made_run import NAMES, Page, csv_of, full_run, made_card, made_evaluation, write_run
from tlearn.reporting.card.headline import trained_words
from tlearn.reporting.card.html.page import report_html


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(report_html(full_run(tmp_path_factory.mktemp("runs") / "finetune")))


def page_of(folder: Path, card: dict[str, Any], **evaluations: dict[str, Any]) -> Page:
    return Page(report_html(write_run(folder / "run", card, csv_of(5), **evaluations)))


def test_the_test_score_is_the_headline_with_its_interval_and_the_number_of_images(page: Page) -> None:
    headline = page.html[page.html.index('<dl class="results">') : page.html.index("</dl>")]
    said = " ".join(re.sub(r"<[^>]*>", " ", headline).replace("\u00a0", " ").split())
    assert said == (
        "test accuracy 85.4 % [78.9, 90.2], 129 of 151 test images "
        "best validation accuracy, epoch 4 86.4 % [80.0, 91.0], 130 of 151 validation images"
    )
    assert "In brackets: the 95 % interval, given for fewer than 1,000 images." in page.text
    assert "the test images chose nothing" in page.text


def test_without_a_test_validation_is_the_headline(tmp_path: Path) -> None:
    page = page_of(tmp_path, made_card() | {"test": None}, val=made_evaluation("val"))
    assert page.text.index("86.4 %") < page.text.index("Results")
    assert "the test images chose nothing" not in page.text
    assert "The validation images chose the epoch" in page.text


def test_from_a_thousand_images_on_there_is_no_interval(tmp_path: Path) -> None:
    card = made_card()
    card["test"] |= {"images": 2000, "metrics": {"test/acc": 0.905}}
    card["best"]["images"] = 1000
    page = page_of(tmp_path, card)
    assert "90.5 % 1,810 of 2,000 test images" in page.text
    assert "In brackets" not in page.text


ADVICE = {"strategy": "lp_ft", "of": "accuracy", "score": 0.929, "low": 0.86, "high": 0.97, "changed": []}
AT_128 = {"backbone": "resnet18", "weights": "DEFAULT", "image_size": 128}


@pytest.mark.parametrize(
    ("model", "advice", "words"),
    [
        ({"head_init": "probe"}, ADVICE, "LP-FT at 128 px; advised; expected accuracy 92.9 % [86, 97]"),
        (
            {"head_init": "probe"},
            ADVICE | {"changed": ["image_size"]},
            "LP-FT at 128 px; advised, then changed (model.im",
        ),
        ({"head_init": "probe", "freeze_until": "layer2"}, None, "LP-FT of what lies behind layer2 at 128 px"),
        ({"freeze_until": "layer2"}, None, "Fine-tuning of what lies behind layer2 at 128 px"),
        ({"freeze_backbone": True}, None, "A new head on the fixed network at 128 px"),
        (
            {"freeze_backbone": True, "head_solver": "lbfgs"},
            None,
            "A head solved by lbfgs on the fixed network at 128 px",
        ),
        ({}, None, "Fine-tuning of everything at 128 px"),
    ],
)
def test_what_was_trained_is_said_in_words(model: dict[str, Any], advice: dict[str, Any] | None, words: str) -> None:
    said = trained_words(made_card() | {"model": AT_128 | model, "advice": advice})
    assert said.replace("\u00a0", " ").startswith(words)


def test_random_weights_and_the_size_of_the_data_are_said() -> None:
    card = made_card() | {"model": {"backbone": "resnet18"}}
    card["data"]["shape_px"] = [32, 32]
    assert trained_words(card) == "Everything trained from random weights at 32 px"
    for frozen, words in (
        ({"freeze_until": "layer3"}, "Training of what lies behind layer3, from random weights at 32 px"),
        ({"freeze_backbone": True}, "A new head on the fixed network of random weights at 32 px"),
        ({"head_solver": "lbfgs"}, "A head solved by lbfgs on the fixed network of random weights at 32 px"),
    ):
        assert trained_words(card | {"model": card["model"] | frozen}) == words


def test_test_and_validation_stand_side_by_side(page: Page) -> None:
    table = page.html[page.html.index('<table class="metrics">') :]
    assert re.findall(r'<th scope="col"[^>]*>([^<]*)<', table[: table.index("</thead>")]) == [
        "metric",
        "test",
        "validation",
    ]
    for kind in ("Confusion matrix", "Classes"):
        first, second = (page.html.index(f'aria-label="{kind}, {split}"') for split in ("Test", "Validation"))
        between = page.html[first:second]
        assert "<h2" not in between
        assert "<h3" not in between


def test_right_answers_and_training_pictures_stand_beside_the_mistakes(page: Page) -> None:
    assert [heading.strip() for heading in page.texts["h3"][:5]] == [
        "Test: mistakes 2 of 22, the surest first",
        "Validation: mistakes 2 of 22, the surest first",
        "Test: right answers 3 of 129, a sure one of each class in turn",
        "Validation: right answers 3 of 129, a sure one of each class in turn",
        "Training pictures 3 of 903",
    ]
    shown = [picture["alt"].replace("\u00a0", " ") for picture in page.all("img")]
    assert "cat/right 0.jpg (true cat, said cat, 90.0 %)" in shown
    assert "cat/right 0.jpg (true cat, said cat, 90.0 %): what spoke for the answer" in shown
    assert "train/cat.jpg (label cat)" in shown
    assert "Grad-CAM" in page.text


def test_a_network_without_a_map_is_named(tmp_path: Path) -> None:
    evaluation = made_evaluation("val") | {"explained": "TlearnError: the tap has no map", "right": []}
    page = page_of(tmp_path, made_card(), val=evaluation)
    assert "No Grad-CAM: TlearnError: the tap has no map." in page.text
    assert "Beside some" not in page.text


def test_every_entry_of_the_contents_leads_somewhere(page: Page, tmp_path: Path) -> None:
    for each in (page, page_of(tmp_path, made_card() | {"test": None, "environment": None})):
        targets = {attributes["id"] for _, attributes in each.elements if "id" in attributes}
        links = [link["href"][1:] for link in each.all("a") if link["href"].startswith("#")]
        assert len(links) >= 5
        assert set(links) <= targets
        assert len(links) == len(set(links))


def test_options_that_are_not_set_are_folded_away(tmp_path: Path) -> None:
    card = made_card()
    card["data"]["options"] |= {"classes": None, "stored_classes": None, "channels": []}
    page = page_of(tmp_path, card)
    folded = [" ".join(text.split()) for text in page.texts["details"] if "not set" in text]
    assert folded == ["1 option not set image_size", "3 options not set classes, stored_classes, channels"]
    assert "\N{EN DASH}" not in page.text


def test_paths_break_at_slashes_and_names_are_whole(tmp_path: Path) -> None:
    card = made_card()
    card["data"]["options"]["root"] = "/very/long/path/to/pictures"
    evaluation = made_evaluation("val")
    evaluation["worst"][0]["name"] = name = "train/bees/" + "2470492902_3572c90f75" * 4 + ".jpg"
    page = page_of(tmp_path, card, val=evaluation)
    assert "<bdi>path</bdi>/<wbr><bdi>to</bdi>/<wbr>" in page.html
    assert f"<bdi>train</bdi>/<wbr><bdi>bees</bdi>/<wbr><bdi>{name.rpartition('/')[2]}</bdi>" in page.html
    assert "text-overflow" not in page.html
    assert "overflow-x" not in page.html
    assert "/<wbr><span" not in page.html
    assert "runs/<wbr>finetune/<wbr>version_0" in page.html


def test_a_matrix_too_wide_for_a_phone_has_a_list_in_its_place(tmp_path: Path) -> None:
    names = [f"kind {k}" for k in range(20)]
    matrix = [[20 if t == p else 3 if (t, p) == (4, 9) else 0 for p in range(20)] for t in range(20)]
    evaluation = made_evaluation("test") | {"class_names": names, "confusion": matrix, "per_class": []}
    page = page_of(tmp_path, made_card(names), test=evaluation)
    assert page.having("wide") == page.having("matrix")
    assert len(page.having("instead")) == 1
    assert "kind 4 kind 9 3 13.0 %" in page.text


def test_a_real_run_has_its_pictures(finished_run: Path) -> None:
    run = finished_run / "runs/folder/version_0"
    found = {split: json.loads((run / f"evaluation/{split}.json").read_text()) for split in ("val", "train")}
    page = Page((run / "report.html").read_text())
    assert len(found["val"]["right"]) == min(12, json.loads((run / "card.json").read_text())["best"]["images"])
    assert found["val"]["explained"] == ""
    assert sum("grad_cam" in row for row in found["val"]["right"]) == 4
    labels = [row["true"] for row in found["train"]["examples"]]
    assert len(labels) == 12
    assert set(labels) == set(NAMES) or len(set(labels)) > 1
    assert all(Path(row["name"]).parent.name == row["true"] for row in found["train"]["examples"])
    sizes = {Image.open(_bytes(picture["src"])).size for picture in page.all("img")}
    assert min(min(size) for size in sizes) >= 128
    assert max(max(size) for size in sizes) <= 320
    assert len(page.html) < 4_000_000


def _bytes(source: str) -> io.BytesIO:
    return io.BytesIO(base64.b64decode(source.partition(",")[2]))
