"""`label` writes which pictures to label next, or serves a page; `fit` learns from what was answered."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import tlearn as api
from tests.conftest import Answer, Tlearn
from tests.helpers.fake_pictures import write_flat, write_folder
from tlearn.data.labels.label_list import Decision, LabelList
from tlearn.pages.server import running

NETWORK = ("--model.weights", "null", "--model.image_size", "32", "--trainer.accelerator", "cpu")
OPTIONS = {"model.weights": None, "model.image_size": 32, "trainer.accelerator": "cpu"}


def label(tlearn: Tlearn, *words: str) -> Answer:
    answer = tlearn("label", *words, *NETWORK)
    assert answer.code == 0, answer.err
    return answer


def rows_of(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_without_any_label_typical_pictures_are_written(tlearn: Tlearn) -> None:
    write_flat(Path("photos"), 30)
    Path("photos/broken.png").write_text("no picture")
    Path("photos/00_again.png").write_bytes(Path("photos/00_cat.png").read_bytes())
    answer = label(tlearn, "photos", "--next", "3", "--out", "next.csv")
    lines = answer.out.splitlines()
    assert lines[0] == f"30 pictures in {Path('photos').absolute()}, 0 with a label so far"
    assert lines[1] == "left out 1 file without a picture: broken.png; of 1 copy one picture is asked for"
    assert lines[2] == "3 pictures to label next: next.csv"
    assert lines[-1] == "next: tlearn label photos --model.weights null --model.image_size 32 --trainer.accelerator cpu"
    rows = rows_of("next.csv")
    assert {row["path"][3:] for row in rows} == {"cat.png", "dog.png", "eel.png"}
    assert {(row["why"], row["proposal"], row["probability"]) for row in rows} == {
        ("typical of a cluster without a label", "", "")
    }
    assert not Path("runs").exists()


def test_what_was_answered_is_not_asked_again_and_fit_learns_from_it(tlearn: Tlearn) -> None:
    paths = write_flat(Path("photos"), 45)
    LabelList("photos").decide([Decision(path.name, "", path.stem[3:], "label") for path in paths[:30]])
    found = api.label("photos", options=OPTIONS, next=6, out="next.csv")
    assert [(each.path, each.why, each.proposal or "") for each in found] == [
        (row["path"], row["why"], row["proposal"]) for row in rows_of("next.csv")
    ]
    assert not {each.path for each in found} & {path.name for path in paths[:30]}
    assert {re.sub("cat|dog|eel", "A", each.why) for each in found} == {"between A and A"}
    right = [each.path for each in found if each.path[3:-4] == each.proposal]
    assert len(right) >= 5
    answer = tlearn("fit", "photos", *NETWORK, "--data.batch_size", "8")
    assert answer.code == 0, answer.err
    assert "train: 30 images of 3 classes (cat 10, dog 10, eel 10)" in answer.err


def test_class_folders_are_no_labels_and_it_is_said(tlearn: Tlearn) -> None:
    write_folder(Path("known"))
    answer = tlearn("label", "known", *NETWORK, "--out", "next.csv")
    assert answer.code == 0, answer.err
    assert "no picture has a label by its folder (cat, dog, eel): if those are classes, " in answer.err
    assert "tlearn label PHOTOS known" in answer.err
    write_flat(Path("photos"), 12)
    assert "by its folder" not in tlearn("label", "photos", "known", *NETWORK, "--out", "next.csv").err


@pytest.mark.parametrize("way", ["target", "option", "config"])
def test_pictures_with_labels_teach_from_the_start(way: str, tlearn: Tlearn) -> None:
    write_flat(Path("photos"), 12)
    write_folder(Path("known"))
    Path("mine.yaml").write_text("data: {class_path: ImageFolderDataModule, init_args: {root: known}}\n")
    words = {"target": ["known"], "option": ["--data.root", "known"], "config": ["--config", "mine.yaml"]}[way]
    answer = label(tlearn, "photos", *words, "--next", "4", "--out", "next.csv")
    assert "12 pictures in" in answer.out
    assert "0 with a label so far, 24 others have one" in answer.out
    assert re.search(r"a head on 24 labels: \d+\.\d % \[", answer.out)
    rows = rows_of("next.csv")
    assert len(rows) == 4
    assert [row["proposal"] for row in rows] == [row["path"][3:-4] for row in rows]
    assert all(0 < float(row["probability"]) <= 1 for row in rows)


def test_the_page_is_served_and_the_next_command_learns(tlearn: Tlearn, monkeypatch: pytest.MonkeyPatch) -> None:
    write_flat(Path("photos"), 12)
    write_folder(Path("known"))
    served, commands = list[Any](), list[str]()

    def serve(app: Any, options: Any, what: str) -> None:
        served.append((options.port, what))
        state = TestClient(app, base_url="http://127.0.0.1:8123").get("/api/state").json()
        commands.append(state["command"])
        LabelList("photos").decide([Decision("00_cat.png", "", "cat", "label")])

    monkeypatch.setattr(running, "run_server", serve)
    answer = label(tlearn, "photos", "--port", "8123", "--classes", "cat,fox")
    assert served == [(8123, "labelling photos")]
    assert "1 of 12 pictures have a label: " in answer.out
    assert answer.out.splitlines()[-1].startswith("next: tlearn fit photos --model.weights null")
    assert answer.out.splitlines()[-1] == f"next: {commands[0]}"  # the page shows it too
    answer = label(tlearn, "photos", "known")
    assert answer.out.splitlines()[-1].startswith("next: tlearn fit known --model.weights null")
    assert answer.out.splitlines()[-1].endswith(" --data.init_args.also=photos")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "label takes a folder of pictures to label, such as 'tlearn label photos'"),
        (("nowhere",), "label takes a folder of pictures, found none at "),
        (("empty",), "no picture in "),
        (("photos", "--next", "0"), "--next: expected a whole number from 1 on, got '0'"),
        (("photos", "--out", "gone/next.csv"), "--out gone/next.csv: the folder "),
        (("photos", "--host", "0.0.0.0"), "--host 0.0.0.0 lets other machines in, so every request needs a token"),
        (("photos", "known", "other"), "fit takes one folder, table or config, got known and other"),
        (("photos", "--out", "next.csv", "--model.backbone", "resnet"), "unknown model.backbone 'resnet'"),
    ],
)
def test_faults_are_one_line(words: tuple[str, ...], said: str, tlearn: Tlearn) -> None:
    write_flat(Path("photos"), 3)
    Path("empty").mkdir()
    answer = tlearn("label", *words, *NETWORK)
    assert answer.code == 2
    (line,) = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert said in line


def test_a_folder_whose_pictures_all_have_a_label(tlearn: Tlearn) -> None:
    write_folder(Path("known"))
    answer = tlearn("label", "known", "known", "--out", "next.csv", *NETWORK)
    assert answer.code == 2
    assert "has a label already; there is nothing to ask" in answer.err
