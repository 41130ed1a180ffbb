"""The routes of `review`: what the page asks for and sends."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.helpers.review.fake_pool import fake_pool
from tlearn.pages.review.routes import review_app
from tlearn.pages.review.session import ReviewSession
from tlearn.pages.server.options import ServerOptions

JSON = {"content-type": "application/json"}
JSON = {"content-type": "application/json"}
HOSTILE = "<img src=x onerror=alert(1)>"


def client_of(root: Path) -> TestClient:
    """Twenty cats, dogs and eels each; one cat is labelled dog, one dog eel and one eel cat."""
    session = ReviewSession(fake_pool(root, 20, wrong=(3, 25, 47)), title="pets")
    return TestClient(review_app(session, ServerOptions()), base_url="http://127.0.0.1:8760")


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    return client_of(tmp_path)


def test_the_most_doubtful_come_first_and_the_filters_hold(client: TestClient) -> None:
    ids = client.get("/api/order").json()["ids"]
    assert (len(ids), set(ids[:3])) == (60, {3, 25, 47})
    assert client.get("/api/order?class=dog&decided=no").json()["ids"][0] == 3
    assert client.get("/api/order?proposal=dog&disagree=1").json()["ids"] == [25]
    answer = client.get("/api/pictures?start=1&count=2").json()
    assert (answer["total"], [item["id"] for item in answer["items"]]) == (60, ids[1:3])
    (item,) = client.get("/api/pictures?ids=3").json()["items"]
    assert (item["name"], item["label"], item["proposal"]) == ("cat/cat003.png", "dog", "cat")
    assert [other["label"] for other in item["neighbours"]] == ["cat"] * 3
    assert client.get("/api/order?class=fox").status_code == 400


def test_decisions_change_the_state_and_are_taken_back(client: TestClient) -> None:
    given = [{"id": 3, "decision": "change", "label": "cat"}, {"id": 25, "decision": "exclude"}]
    state = client.post("/api/decisions", json={"decisions": given}).json()
    assert state["counts"] == {"pictures": 60, "decided": 2, "kept": 0, "changed": 1, "excluded": 1, "unsure": 0}
    assert sorted(client.get("/api/order?decided=yes").json()["ids"]) == [3, 25]
    marks = client.get("/api/marks").json()
    assert (marks["labels"][3], marks["decided"][:4]) == (0, [0, 0, 0, 1])
    assert client.post("/api/undo", json={"ids": [3]}).json()["ids"] == [3]
    undone = client.post("/api/undo", json={}).json()
    assert undone["state"]["counts"]["decided"] == 0
    assert client.get("/api/state").json()["counts"]["decided"] == 0


def test_what_is_meant_for_other_pictures_is_refused(client: TestClient, tmp_path: Path) -> None:
    body = {"decisions": [{"id": 3, "decision": "exclude"}], "pool": client.get("/api/state").json()["pool"]}
    other = client_of(tmp_path / "other")
    for path, meant in (("/api/decisions", body), ("/api/undo", {"ids": [3], "pool": body["pool"]})):
        answer = other.post(path, json=meant)
        assert (answer.status_code, answer.json()["error"][:40]) == (400, "the pictures have changed since this pag")
        assert client.post(path, json=meant).status_code == 200


def test_the_pictures_are_shown_by_number(client: TestClient) -> None:
    answer = client.get("/image/4?size_px=32")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert client.get("/image/60").status_code == 404


def test_the_page_holds_no_script_of_its_own_and_names_are_text(tmp_path: Path) -> None:
    words = client_of(tmp_path / HOSTILE).get("/").text
    assert "&lt;img src=x onerror=alert(1)&gt;" in words
    assert HOSTILE not in words
    assert "style=" not in words
    assert words.count("<script") == words.count('<script type="module" src="/static/review/main.js">') == 1


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/api/decisions", b"[1]", "the request: expected an object, got [1]"),
        ("/api/decisions", b"[" * 100_000, "nested too deep"),
        ("/api/decisions", b'{"decisions": []}', "decisions: expected one or more"),
        ("/api/decisions", b'{"decisions": [1]}', "decisions[0]: expected an object"),
        (
            "/api/decisions",
            b'{"decisions": [{"id": -1, "decision": "keep"}]}',
            "expected the id of a picture",
        ),
        (
            "/api/decisions",
            b'{"decisions": [{"id": 0, "decision": "burn"}]}',
            "expected the id of a picture",
        ),
        ("/api/decisions", b'{"decisions": [{"id": 0, "decision": ["keep"]}]}', "decision: expected a text"),
        ("/api/decisions", b'{"decisions": [{"id": 0, "decision": "change"}]}', "expected the label of the class"),
        (
            "/api/decisions",
            b'{"decisions": [{"id": 99, "decision": "keep"}]}',
            "from 0 to 59, got 99",
        ),
        ("/api/undo", b'{"ids": ["0"]}', "ids: expected whole numbers"),
    ],
)
def test_what_is_no_decision_is_refused_in_a_line(client: TestClient, path: str, body: bytes, said: str) -> None:
    answer = client.post(path, content=body, headers=JSON)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


@pytest.mark.parametrize("query", ["count=0", "count=501", "start=x", "ids=1,x", "decided=maybe"])
def test_a_query_that_is_none_is_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/api/pictures?{query}").status_code == 400


def test_too_many_bytes_are_refused(client: TestClient) -> None:
    answer = client.post("/api/decisions", content=b" " * (2**24 + 1), headers=JSON)
    assert (answer.status_code, "at most 16 MiB at once" in answer.json()["error"]) == (413, True)
