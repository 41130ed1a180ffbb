"""What the page of `label` answers over HTTP: batches that all tabs share, decisions, undo, classes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.helpers.labelling.fake_session import FakeSession, fake_session
from tlearn.pages.label.routes import label_app
from tlearn.pages.server.options import ServerOptions

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def session(tmp_path: Path) -> FakeSession:
    return fake_session(tmp_path, 12)


@pytest.fixture
def client(session: FakeSession) -> TestClient:
    return TestClient(label_app(session, ServerOptions()), base_url="http://127.0.0.1:8760")


def decide(client: TestClient, *decisions: dict[str, Any]) -> Any:
    answer = client.post("/api/decisions", json={"decisions": decisions})
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(batch: dict[str, Any]) -> list[int]:
    return [item["id"] for item in batch["items"]]


def test_a_batch_stays_until_it_is_followed_by_the_next(client: TestClient) -> None:
    first = client.get("/api/next?count=5").json()
    assert (ids(first), first["number"]) == ([0, 1, 2, 3, 4], 1)
    decide(
        client,
        {"id": 0, "decision": "label", "label": "bees"},
        {"id": 1, "decision": "exclude"},
        {"id": 2, "decision": "unsure"},
    )
    again = client.get("/api/next?count=5").json()  # a reload, or another tab
    assert again["round"] == first["round"]
    answers = [(item["decision"], item["label"]) for item in again["items"]]
    assert answers == [("label", "bees"), ("exclude", None), ("unsure", None), (None, None), (None, None)]
    second = client.get(f"/api/next?count=5&after={first['round']}").json()
    assert (ids(second), second["number"]) == ([3, 4, 5, 6, 7], 2)
    # A second tab, which has seen the end of the first batch too, gets the same one.
    assert client.get(f"/api/next?count=5&after={first['round']}").json() == second


def test_the_state_names_the_batch_and_what_to_type_in_the_end(session: FakeSession) -> None:
    client = TestClient(label_app(session, ServerOptions(), "python -m tlearn fit"), base_url="http://127.0.0.1:8760")
    batch = client.get("/api/next?count=5").json()
    after = decide(client, {"id": 0, "decision": "label", "label": "ants"})
    assert after["counts"] == {"pictures": 12, "left": 11, "labelled": 1, "none": 0, "unsure": 0}
    for state in (after, client.get("/api/state").json(), client.post("/api/undo", json={}).json()["state"]):
        assert (state["round"], state["command"]) == (batch["round"], "python -m tlearn fit")


def test_undo_takes_back_the_last_one_or_the_named_ones(client: TestClient, session: FakeSession) -> None:
    client.get("/api/next?count=5")
    decide(client, {"id": 0, "decision": "label", "label": "ants"}, {"id": 1, "decision": "label", "label": "bees"})
    last = client.post("/api/undo", json={}).json()
    assert (last["ids"], [item["name"] for item in last["items"]]) == ([1], ["picture 0001.png"])
    assert client.post("/api/undo", json={"ids": [0]}).json()["ids"] == [0]
    assert client.post("/api/undo", json={}).json()["ids"] == []
    assert session.decisions == {}
    assert [item["decision"] for item in client.get("/api/next?count=5").json()["items"]] == [None] * 5


def test_an_answer_to_another_picture_than_the_named_one_is_refused(client: TestClient, session: FakeSession) -> None:
    # After a new start with more pictures, ids stand for others: a tab that was open must not label the wrong one.
    decision = {"id": 3, "name": "picture 0002.png", "decision": "label", "label": "ants"}
    answer = client.post("/api/decisions", json={"decisions": [decision]})
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        "the pictures have changed since this page was opened: picture 0002.png is picture 0003.png now"
    )
    assert session.decisions == {}


def test_classes_are_made(client: TestClient) -> None:
    assert client.post("/api/classes", json={"name": HOSTILE}).json()["class_names"] == ["ants", "bees", HOSTILE]
    again = client.post("/api/classes", json={"name": HOSTILE})
    assert (again.status_code, "already" in again.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("decisions", "no JSON", "expected JSON in UTF-8, got something else"),
        ("decisions", "[]", "the request: expected an object, got []"),
        ("decisions", "{}", "the request: decisions: expected a list, got nothing"),
        ("decisions", '{"decisions": []}', "expected a list of 1 to 500"),
        ("decisions", '{"decisions": [3]}', "expected a decision of label, exclude, unsure"),
        ("decisions", '{"decisions": [{"id": 0, "decision": "keep"}]}', "expected a decision of label, exclude"),
        ("decisions", '{"decisions": [{"id": "0", "decision": "unsure"}]}', "expected the id of a picture"),
        ("decisions", '{"decisions": [{"id": true, "decision": "unsure"}]}', "expected the id of a picture"),
        ("decisions", '{"decisions": [{"id": -1, "decision": "unsure"}]}', "expected the id of a picture"),
        ("decisions", '{"decisions": [{"id": 12, "decision": "unsure"}]}', "there is no picture 12"),
        ("decisions", '{"decisions": [{"id": 0, "decision": "label"}]}', "expected a text"),
        ("decisions", '{"decisions": [{"id": 0, "decision": "label", "label": "wasps"}]}', "there is no class 'wasps'"),
        ("undo", '{"ids": 3}', "the request: ids: expected a list or null, got 3"),
        ("undo", '{"ids": [12]}', "there is no picture 12"),
        ("classes", '{"name": 3}', "the request: name: expected a text, got 3"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    client: TestClient, session: FakeSession, path: str, body: str, error: str
) -> None:
    answer = client.post(f"/api/{path}", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(error)
    assert session.decisions == {}


@pytest.mark.parametrize("count", ["0", "501", "-1", "many", "9" * 30, "\u0665"])
def test_a_count_that_is_none_is_refused(client: TestClient, count: str) -> None:
    answer = client.get("/api/next", params={"count": count})
    assert (answer.status_code, answer.json()["error"]) == (400, "count: expected a number from 1 to 500")


def test_pictures_are_shown_by_their_number(client: TestClient) -> None:
    answer = client.get("/image/3?size_px=32")
    assert Image.open(io.BytesIO(answer.content)).size == (32, 24)
    missing = client.get("/image/12")
    assert (missing.status_code, missing.json()["error"]) == (400, "there is no picture 12")


def test_a_name_that_is_no_text_is_shown_with_question_marks(tmp_path: Path) -> None:
    session = fake_session(tmp_path, 3, names=["caf\udce9.png"])  # in Latin-1, as older systems wrote it
    client = TestClient(label_app(session, ServerOptions()), base_url="http://127.0.0.1:8760")
    item = client.get("/api/next").json()["items"][0]
    assert item["name"] == "caf?.png"
    assert client.get(f"/image/{item['id']}").status_code == 200
    decide(client, {"id": item["id"], "name": item["name"], "decision": "label", "label": "ants"})
    assert session.decisions == {0: ("label", "ants")}
