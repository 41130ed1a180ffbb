"""What is asked of `serve` beside answers: its description, Grad-CAM, training pictures, corrections."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

from tests.helpers.fake_pictures import picture, write_flat
from tlearn.data.files.reading import Framing
from tlearn.data.labels.label_list import LabelList
from tlearn.pages.serve.app import app
from tlearn.pages.serve.attention import attention_png, looked_at
from tlearn.pages.serve.served_run import ServedRun
from tlearn.pages.serve.uploads import Upload

AT = "http://127.0.0.1:8760"
NAME = "folder-version_0"


@pytest.fixture
def run(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run, tmp_path, dirs_exist_ok=True)
    return tmp_path / "runs/folder/version_0"


@pytest.fixture
def client(run: Path) -> Iterator[TestClient]:
    with TestClient(app([run, run]), base_url=AT) as client:
        yield client


def png(name: str = "cat", number: int = 1, size_px: tuple[int, int] = (64, 64)) -> bytes:
    with io.BytesIO() as file:
        picture(name, number).resize(size_px).save(file, "PNG")
        return file.getvalue()


def validator(described: dict[str, Any], name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(described | {"$ref": f"#/components/schemas/{name}"})


def test_openapi_is_true_to_what_is_answered(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    assert described["openapi"] == "3.1.0"
    files = [("pictures", ("a.png", png())), ("pictures", ("b.png", b"no picture"))]
    answers = client.post("/predict?coverage=0.8&nearest=2", files=files).json()
    assert len(answers["answers"]) == 3
    validator(described, "Answers").validate(answers)
    validator(described, "Error").validate(client.post("/predict").json())
    health = described["paths"]["/health"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator(health).validate(client.get("/health").json())
    wrong = json.loads(json.dumps(answers))
    wrong["answers"][0]["new"] = 1
    assert not validator(described, "Answers").is_valid(wrong)
    for path, methods in described["paths"].items():
        for method in methods:
            called = client.request(method, path.format(run=NAME, row=0))
            assert called.status_code not in (404, 405) or called.json()["error"].startswith("no correction"), path


def test_grad_cam_is_laid_over_the_whole_picture(client: TestClient) -> None:
    files = {"picture": ("wide.png", png("eel", size_px=(96, 64)))}
    answer = client.post("/grad_cam?class=eel", files=files)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    heat = Image.open(io.BytesIO(answer.content))
    assert (heat.size, heat.mode) == ((96, 64), "RGBA")
    alpha = torch.tensor(list(heat.getchannel("A").get_flattened_data())).reshape(64, 96)
    assert alpha.max() == 255
    assert not alpha[:, :20].any()  # 56 of 96 columns are seen
    assert not alpha[:, -20:].any()
    assert client.post("/grad_cam", files=files).content == answer.content  # the surest class
    assert client.post("/grad_cam?class=cat", files=files).content != answer.content
    refused = client.post("/grad_cam?class=cow", files=files)
    assert (refused.status_code, refused.json()) == (400, {"error": "class: expected a class of the run, got 'cow'"})
    for path in ("/grad_cam", "/corrections", "/corrections/undo"):
        both = client.post(f"{path}?run={NAME}&run={NAME}-2", files=files)
        assert (both.status_code, both.json()) == (400, {"error": "run: given twice"})
    broken = client.post("/grad_cam", files={"picture": ("x.png", b"?")})
    assert (broken.status_code, broken.json()) == (400, {"error": "x.png: no picture format"})


def test_grad_cam_leaves_the_bars_of_a_letterbox_out(run: Path) -> None:
    network, framing = ServedRun(run).predictor.module, Framing(32, "letterbox")
    upload = Upload("a.png", io.BytesIO(png(size_px=(80, 40))))
    picture = looked_at(upload, framing)
    assert picture.square.untyped_storage().nbytes() == 3 * 32 * 32  # so much waits, not all pixels
    (made,) = attention_png(network, framing, 0, [picture])
    assert Image.open(io.BytesIO(made)).size == (80, 40)


def test_nearest_pictures_are_shown_and_nothing_else_is(client: TestClient, run: Path, tmp_path: Path) -> None:
    answer = client.post("/predict?nearest=2", content=png()).json()["answers"][0]
    for each in answer["nearest"]:
        shown = client.get(each["image"])
        assert shown.headers["content-type"] == "image/png"
        with Image.open(io.BytesIO(shown.content)) as small, Image.open(tmp_path / "pictures" / each["name"]) as wanted:
            assert list(small.get_flattened_data()) == list(wanted.convert("RGB").get_flattened_data())
    assert client.get(f"/nearest/{NAME}/24").json() == {"error": "there is no picture 24"}
    assert client.get("/nearest/other/0").status_code == 404
    (tmp_path / "pictures" / answer["nearest"][0]["name"]).unlink()
    gone = client.get(answer["nearest"][0]["image"])
    assert gone.status_code == 404
    assert "cannot be shown: No such file" in gone.json()["error"]
    content = torch.load(run / "reliability.pt")
    content["known_names"][0], content["known_names"][1] = "../secret.png", str(tmp_path / "secret.png")
    torch.save(content, run / "reliability.pt")
    (tmp_path / "secret.png").write_bytes(png())
    with TestClient(app(run), base_url=AT) as other:
        for row in (0, 1):
            assert other.get(f"/nearest/{NAME}/{row}").status_code == 404


def test_corrections_are_kept_for_review_and_fit(client: TestClient, run: Path) -> None:
    fields = {"label": "dog", "class": "cat", "name": "../../C:\\x/Küche 1.PNG"}
    answer = client.post("/corrections", files={"picture": ("a.png", png())}, data=fields)
    assert answer.status_code == 200, answer.text
    (kept,) = (path for path in (run / "corrections").iterdir() if path.suffix == ".png")
    assert kept.name.startswith("K_che_1-")
    assert answer.json()["kept"] == f"version_0/corrections/{kept.name}"
    assert kept.read_bytes() == png()
    (row,) = LabelList(run / "corrections").read().values()
    assert (row.path, row.old, row.label, row.decision, row.doubt) == (kept.name, "", "dog", "label", "answered cat")
    again = client.post("/corrections", files={"picture": ("a.png", png())}, data=fields | {"label": "eel"})
    assert again.json()["kept"] == answer.json()["kept"]
    again = client.post("/corrections", files={"picture": ("renamed.jpg", png())}, data={"label": "eel"})
    assert again.json()["kept"] == answer.json()["kept"]  # the same picture, whatever it is called
    other = client.post("/corrections", files={"picture": ("..", png("dog", 2))}, data={"label": "cat"}).json()
    assert [row.label for row in LabelList(run / "corrections").read().values()] == ["eel", "cat"]
    assert client.post(other["undo"]).json() == {"undone": Path(other["kept"]).name}
    assert [row.label for row in LabelList(run / "corrections").read().values()] == ["eel"]
    assert not (run / other["kept"].partition("/")[2]).exists()
    assert client.post(other["undo"]).status_code == 404
    assert client.post("/corrections/undo?name=../config.yaml").status_code == 404
    assert (run / "config.yaml").is_file()


@pytest.mark.parametrize(
    ("fields", "data", "said"),
    [
        ({"label": "cow"}, png(), "label: expected a class of the run, got 'cow'"),
        ({"class": "cat"}, png(), "expected the fields picture, label, class and name, got no label"),
        ({"label": "cat", "x": "1"}, png(), "expected the fields picture, label, class and name, got 'x'"),
        ({"label": "cat"}, b"?", "a.png: no picture format"),
        ({"label": ["cat", "dog"]}, png(), "the field 'label' is given twice"),
    ],
)
def test_what_is_no_correction_is_one_line(
    client: TestClient, run: Path, fields: dict[str, str | list[str]], data: bytes, said: str
) -> None:
    answer = client.post("/corrections", files={"picture": ("a.png", data)}, data=fields)
    assert (answer.status_code, answer.json()) == (400, {"error": said})
    assert not (run / "corrections").exists()


def test_a_run_that_moves_away_takes_no_corrections_and_answers_on(client: TestClient, run: Path) -> None:
    sent: dict[str, Any] = {"files": {"picture": ("a.png", png())}, "data": {"label": "cat"}}
    kept = client.post("/corrections", **sent).json()
    run.rename(run.with_name("moved"))
    for path, given in (("/corrections", sent), (kept["undo"], dict[str, Any]())):
        answer = client.post(path, **given)
        assert answer.status_code in (400, 404), answer.text
        assert "see whether the run is there" in answer.text or "is kept" in answer.text
    assert client.post("/predict?nearest=1", content=png()).status_code == 200
    run.write_text("a file of this name")
    assert client.post("/corrections", **sent).status_code == 400


def test_corrections_end_somewhere(client: TestClient, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tlearn.pages.serve.corrections.MOST_CORRECTIONS", 1)
    given = [
        client.post("/corrections", files={"picture": ("a.png", png("cat", n))}, data={"label": "cat"}) for n in (1, 2)
    ]
    assert [answer.status_code for answer in given] == [200, 507]
    assert given[1].json()["error"].startswith("1 corrections are kept")


def test_a_name_that_is_no_text_is_answered(run: Path) -> None:
    content = torch.load(run / "reliability.pt")
    content["known_names"] = [f"train/cat/{row}-caf\udce9.png" for row, _ in enumerate(content["known_names"])]
    torch.save(content, run / "reliability.pt")
    with TestClient(app(run), base_url=AT) as client:
        near = client.post("/predict?nearest=1", content=png()).json()["answers"][0]["nearest"][0]
        assert near["name"].endswith("-caf?.png")
        gone = client.get(near["image"])
        assert gone.status_code == 404
        assert "-caf?.png cannot be shown" in gone.json()["error"]


def test_a_run_folder_that_was_renamed_is_the_same_run(run: Path, tmp_path: Path) -> None:
    own = run.rename(tmp_path / "mine")
    with TestClient(app(own), base_url=AT) as client:
        (about,) = client.get("/health").json()["runs"]
        assert (about["run"], about["trained"] is None) == ("mine-best", False)
        kept = client.post("/corrections", files={"picture": ("a.png", png())}, data={"label": "cat"}).json()["kept"]
        assert (own.parent / kept).is_file()
        image = client.post("/predict?nearest=1", content=png()).json()["answers"][0]["nearest"][0]["image"]
        assert client.get(image).status_code == 200


def test_a_run_that_was_moved_alone_shows_no_training_pictures(run: Path, tmp_path: Path) -> None:
    shutil.copy(run / "checkpoints/best.ckpt", tmp_path / "mine.ckpt")
    with TestClient(app(tmp_path / "mine.ckpt"), base_url=AT) as client:
        (about,) = client.get("/health").json()["runs"]
        assert (about["nearest"], about["coverage"], about["trained"]) == (False, False, None)
        paths = write_flat(tmp_path / "photos", count=1)
        answer = client.post("/predict?nearest=2", content=paths[0].read_bytes())
        assert answer.status_code == 400
        assert "needs what a fit writes into reliability.pt" in answer.json()["error"]
