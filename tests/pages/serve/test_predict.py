"""What is served equals what `predict` and `tlearn.load` answer, to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from pyarrow import parquet
from starlette.testclient import TestClient

import tlearn as package
from tests.conftest import Tlearn
from tests.helpers.fake_pictures import write_flat
from tlearn.pages.serve.app import app
from tlearn.pages.serve.options import ServeOptions
from tlearn.pages.serve.served_run import ServedRun, name_runs

QUERY = "coverage=0.8&min_accuracy=0.6&nearest=3"


@pytest.fixture(scope="module")
def run(finished_run: Path) -> Path:
    return finished_run / "runs/folder/version_0"


@pytest.fixture(scope="module")
def client(run: Path) -> Iterator[TestClient]:
    with TestClient(app(run), base_url="http://127.0.0.1:8760") as client:
        yield client


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_flat(tmp_path_factory.mktemp("photos"), count=64)


def sent(client: TestClient, paths: list[Path], query: str = "") -> list[dict[str, Any]]:
    files = [("pictures", (path.name, path.read_bytes())) for path in paths]
    answer = client.post(f"/predict?{query}", files=files)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["answers"])


def test_answers_equal_those_of_load_in_any_company(client: TestClient, run: Path, paths: list[Path]) -> None:
    wanted = {
        path.name: each
        for path, each in zip(
            paths, package.load(run).predict(paths, coverage=0.8, min_accuracy=0.6, nearest=3), strict=True
        )
    }
    for count in (1, 2, 7, 32, 64):
        answers = sent(client, paths[-count:], QUERY)
        assert [answer["name"] for answer in answers] == [path.name for path in paths[-count:]]
        for answer in answers:
            one = wanted[answer["name"]]
            assert answer["class"] == ("unknown" if one.unknown else one.class_name)
            assert answer["probability"] == one.probability  # the very bits
            assert {each["class"]: each["probability"] for each in answer["probabilities"]} == one.probabilities
            assert (answer["set"], answer["why_unknown"]) == (one.answer_set, list(one.why_unknown))
            assert (answer["stranger"], answer["is_stranger"]) == (one.stranger, one.is_stranger)
            found = [(each["name"], each["label"], each["distance"]) for each in answer["nearest"]]
            assert found == [tuple(each) for each in one.nearest]


def test_answers_equal_those_of_the_verb_whatever_its_batches(
    client: TestClient, tlearn: Tlearn, run: Path, paths: list[Path], tmp_path: Path
) -> None:
    answers = sent(client, paths)
    for size in (1, 7, 64):
        out, photos = tmp_path / f"{size}.parquet", str(paths[0].parent)
        words = ["--out", str(out), "--data.batch_size", str(size), "--trainer.precision", "32-true", "--top_k", "3"]
        assert tlearn("predict", str(run), photos, *words).code == 0
        rows = parquet.read_table(out).to_pylist()
        assert [(row["class"], row["probability"], row["probability_2"], row["stranger"]) for row in rows] == [
            (each["class"], each["probability"], each["probabilities"][1]["probability"], each["stranger"])
            for each in answers
        ]


def test_many_clients_at_once_get_the_answers_of_one(client: TestClient, paths: list[Path]) -> None:
    wanted = {answer["name"]: answer for answer in sent(client, paths)}
    with ThreadPoolExecutor(16) as pool:
        for answers in pool.map(lambda path: sent(client, [path]), paths):
            assert answers == [wanted[answers[0]["name"]]]
    about = client.get("/health").json()
    assert about["waiting"] == 0
    assert about["answered"] >= 128


def test_raw_bytes_are_a_picture_and_faults_are_named_beside_the_rest(client: TestClient, paths: list[Path]) -> None:
    (raw,) = client.post("/predict?name=a/b/one.png", content=paths[0].read_bytes()).json()["answers"]
    (formed,) = sent(client, paths[:1])
    assert raw == formed | {"name": "one.png"}
    files = [
        ("pictures", ("x.png", b"hello")),
        ("pictures", ("y.png", b"")),
        ("pictures", ("z.png", paths[1].read_bytes())),
    ]
    broken, empty, good = client.post("/predict", files=files).json()["answers"]
    assert broken["name"] == "x.png"
    assert "\n" not in broken["error"]
    assert empty == {"name": "y.png", "error": "the file is empty"}
    assert good["class"] in ("cat", "dog", "eel")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            "covrage=0.9",
            "expected coverage, coverage_by, min_accuracy, unknown, nearest, top_k, run, name, got 'covrage'",
        ),
        ("coverage=2", "coverage: expected a share above 0 and below 1, such as 0.9; got '2'"),
        ("coverage=nan", "coverage: expected a share above 0 and below 1, such as 0.9; got 'nan'"),
        ("nearest=101", "nearest: expected a whole number from 0 to 100, got '101'"),
        ("unknown=yes", "unknown: expected true or false, got 'yes'"),
        ("unknown=true&unknown=true", "unknown: given twice"),
        ("coverage=0.9&coverage_by=site", "unknown value of coverage_by 'site'. Choices: all, class, group"),
        ("unknown=true", "unknown true needs 20 held-out pictures to tell strangers by, found 12; hold out more"),
        ("min_accuracy=0.9999", "min_accuracy 0.9999 cannot be promised"),
    ],
)
def test_what_cannot_be_asked_is_one_line(client: TestClient, paths: list[Path], query: str, said: str) -> None:
    answer = client.post(f"/predict?{query}", content=paths[0].read_bytes())
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_limits_of_a_request(run: Path, paths: list[Path]) -> None:
    made = app(run, ServeOptions(max_pictures=2, max_mb=1, max_waiting=2))
    with TestClient(made, base_url="http://127.0.0.1") as client:
        files = [("pictures", (path.name, path.read_bytes())) for path in paths[:3]]
        answer = client.post("/predict", files=files)
        assert (answer.status_code, answer.json()) == (413, {"error": "expected at most 2 pictures at once, got more"})
        answer = client.post("/predict", files=files * 10)
        assert (answer.status_code, answer.json()) == (413, {"error": "expected at most 2 pictures at once, got more"})
        answer = client.post("/predict", content=bytes(2**20 + 1))
        assert (answer.status_code, answer.json()) == (413, {"error": "expected at most 1 MiB at once, got more"})
        text = {"files": [("pictures", (None, "text"))]}
        for content in ({"content": b""}, {"files": [("photo", ("a.png", b"x"))]}, text):
            answer = client.post("/predict", **content)
            assert answer.status_code == 400, answer.text
            assert "pictures" in answer.json()["error"]
        answer = client.post("/predict?run=other", content=paths[0].read_bytes())
        assert (answer.status_code, answer.json()) == (404, {"error": "no run 'other'; there are folder-version_0"})
        assert len(sent(client, paths[:2])) == 2  # the next is answered


def test_too_many_waiting_pictures_are_refused_and_later_answered(run: Path, paths: list[Path]) -> None:
    made = app([run, run], ServeOptions(max_pictures=4, max_waiting=4))
    with TestClient(made, base_url="http://127.0.0.1") as client:
        files = [("pictures", (path.name, path.read_bytes())) for path in paths[:3]]
        answer = client.post("/predict", files=files)  # three pictures for two runs
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json() == {"error": "too many pictures wait for the network; try again in a second"}
        answers = client.post("/predict", files=files[:2]).json()["answers"]
        assert [each["run"] for each in answers] == ["folder-version_0", "folder-version_0-2"] * 2
        only = client.post("/predict?run=folder-version_0-2", files=files).json()["answers"]
        assert {each["run"] for each in only} == {"folder-version_0-2"}


def test_health_says_what_is_served(client: TestClient, run: Path) -> None:
    about = client.get("/health").json()
    assert about["status"] == "ok"
    assert about["versions"] == {"tlearn": package.__version__, "torch": torch.__version__}
    (served,) = about["runs"]
    assert served["run"] == "folder-version_0"
    assert served["class_names"] == ["cat", "dog", "eel"]
    assert served["fingerprint"] == torch.load(run / "reliability.pt")["network"]
    assert served["pictures"] == 24
    assert about["limits"] == {"pictures": 64, "bytes": 2**26, "waiting": 512}
    assert served["reached"].startswith("best validation accuracy 100.0")
    assert served["trained"].startswith("20")


def test_no_two_runs_have_one_name() -> None:
    runs = [cast(ServedRun, SimpleNamespace(name=name)) for name in ("a", "a", "a-2", "a", "b")]
    name_runs(runs)
    assert [run.name for run in runs] == ["a", "a-2", "a-2-2", "a-3", "b"]
