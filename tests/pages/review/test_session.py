"""Behind the page of ``review``: wrong labels come first, decisions are in the list at once, the head follows them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.helpers.review.fake_pool import fake_pool
from tlearn import TlearnError
from tlearn.data.labels.label_list import LABELS, Decision, LabelList
from tlearn.models.reliability.neighbours import KnownFeatures
from tlearn.pages.review.json_types import Filters, GivenDecision
from tlearn.pages.review.session import SOLVED_EVERY, ReviewSession

WRONG = (3, 25, 47)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[ReviewSession]:
    made = ReviewSession(fake_pool(tmp_path, wrong=WRONG), title="pets", remark="the fixed network looks")
    yield made
    made.wait()


def number(found: float | None) -> float:
    assert found is not None
    return found


def rows_of(root: Path) -> list[dict[str, str]]:
    with (root / LABELS).open(newline="") as file:
        return list(csv.DictReader(file))


def test_wrong_labels_come_first_with_what_the_network_says(session: ReviewSession) -> None:
    page = session.items(count=3)
    assert page["total"] == 60
    assert {item["id"] for item in page["items"]} == set(WRONG)
    for item in page["items"]:
        truth = item["name"].split("/")[0]
        assert item["proposal"] == truth != item["label"]
        assert number(item["probability"]) > 0.8
        assert number(item["doubt"]) > 0.8
        assert item["decision"] is item["new_label"] is item["group"] is None
    assert number(session.items(start=59)["items"][0]["doubt"]) < 0.1
    assert session.order()["ids"][:3] == [item["id"] for item in page["items"]]


def test_three_neighbours_never_the_picture_itself(session: ReviewSession) -> None:
    found = KnownFeatures(session.pool.features).nearest(session.pool.features[25:26], 4)
    (item,) = session.items(Filters(ids=(25,)))["items"]
    assert found.rows[0, 0] == 25
    assert [each["id"] for each in item["neighbours"]] == found.rows[0, 1:].tolist()
    assert [each["distance"] for each in item["neighbours"]] == found.distances[0, 1:].tolist()
    assert [each["name"][:3] for each in item["neighbours"]] == ["dog"] * 3


def test_a_copy_is_a_neighbour_and_the_picture_is_not(tmp_path: Path) -> None:
    pool = fake_pool(tmp_path)
    pool.features[7] = pool.features[30]
    (item,) = ReviewSession(pool).items(Filters(ids=(30,)))["items"]
    assert item["neighbours"][0]["id"] == 7
    assert 30 not in [each["id"] for each in item["neighbours"]]


def test_the_state_says_how_good_it_is_and_what_is_left(session: ReviewSession) -> None:
    state = session.state()
    assert (state["title"], state["remark"]) == ("pets", "the fixed network looks")
    assert state["list"] == str(session.pool.root / LABELS)
    assert state["score"]["now"] == pytest.approx(57 / 60)
    assert state["score"]["would_be"] == 1
    low, now, high = (state["score"][name] for name in ("low", "now", "high"))
    assert low is not None
    assert now is not None
    assert high is not None
    assert low < now < high
    assert state["worth_looking"] == 3
    session.decide([{"id": row, "decision": "change", "label": session.pool.names[row][:3]} for row in WRONG])
    assert session.state()["worth_looking"] == 0


def test_each_decision_is_in_the_list_at_once(session: ReviewSession) -> None:
    doubt = number(session.items(Filters(ids=(25,)))["items"][0]["doubt"])
    given: list[GivenDecision] = [
        {"id": 25, "decision": "change", "label": "dog"},
        {"id": 0, "decision": "keep"},
        {"id": 1, "decision": "exclude"},
        {"id": 2, "decision": "unsure"},
    ]
    state = session.decide(given)
    expected = {"pictures": 60, "decided": 4, "changed": 1, "excluded": 1, "unsure": 1, "kept": 1}
    assert state["counts"] == expected
    rows = rows_of(session.pool.root)
    assert [(row["path"], row["old"], row["label"], row["decision"]) for row in rows] == [
        ("dog/dog005.png", "eel", "dog", "change"),
        ("cat/cat000.png", "cat", "cat", "keep"),
        ("cat/cat001.png", "cat", "", "exclude"),
        ("cat/cat002.png", "cat", "", "unsure"),
    ]
    assert rows[0]["doubt"] == f"self-confidence {1 - doubt:.2f}"
    (item,) = session.items(Filters(ids=(25,)))["items"]
    assert (item["label"], item["decision"], item["new_label"]) == ("eel", "change", "dog")


def test_undo_takes_back_the_last_and_brings_back_what_was_before(session: ReviewSession) -> None:
    session.decide([{"id": 25, "decision": "unsure"}])
    session.decide([{"id": 25, "decision": "change", "label": "dog"}, {"id": 3, "decision": "exclude"}])
    undone = session.undo()
    assert undone["ids"] == [25, 3]
    assert undone["state"]["counts"]["decided"] == 1
    assert session.items(Filters(ids=(25,)))["items"][0]["decision"] == "unsure"
    assert session.undo()["state"]["counts"]["decided"] == 0
    assert session.undo()["ids"] == []


def test_a_new_session_undoes_the_last_in_the_list(session: ReviewSession) -> None:
    session.decide([{"id": 3, "decision": "keep"}])
    session.decide([{"id": 25, "decision": "keep"}])
    other = ReviewSession(session.pool)
    assert other.undo()["ids"] == [25]
    assert session.state()["counts"]["decided"] == 1
    assert other.undo([3])["ids"] == [3]
    assert rows_of(session.pool.root) == []


def test_what_another_process_decides_is_seen_at_once(session: ReviewSession) -> None:
    LabelList(session.pool.root).decide([Decision("eel/eel007.png", "cat", "eel", "change")])
    assert session.state()["counts"]["changed"] == 1
    assert session.items(Filters(decided="yes"))["items"][0]["new_label"] == "eel"
    LabelList(session.pool.root).decide([Decision("cat/cat000.png", "dog", "", "exclude")])  # was decided as another
    assert session.state()["counts"]["excluded"] == 0


def test_after_twenty_decisions_the_order_follows(session: ReviewSession) -> None:
    before = session.items(count=1)["version"]
    first = session.order()["ids"][0]
    session.decide([{"id": row, "decision": "keep"} for row in range(SOLVED_EVERY - 4)])
    assert session.state()["version"] == before
    session.decide([{"id": row, "decision": "change", "label": session.pool.names[row][:3]} for row in WRONG])
    session.decide([{"id": 30, "decision": "exclude"}])
    session.wait()
    state = session.state()
    assert (state["version"], state["solving"]) == (before + 1, False)
    assert state["score"]["now"] == 1
    assert session.order()["ids"][0] != first
    assert session.items(Filters(ids=(30,)))["items"][0]["proposal"] == "dog"  # of a head that never saw it


def test_a_class_can_be_made_by_a_decision(session: ReviewSession) -> None:
    state = session.decide([{"id": row, "decision": "change", "label": "fox"} for row in range(20)])
    assert state["class_names"] == ["cat", "dog", "eel", "fox"]
    session.wait()
    assert session.items(Filters(ids=(0,)))["items"][0]["proposal"] == "fox"
    assert session.marks()["labels"][:2] == [3, 3]


@pytest.mark.parametrize("name", ["a/b", ".hidden", "x\0y", "z" * 101])
def test_what_can_be_no_class_is_refused(session: ReviewSession, name: str) -> None:
    with pytest.raises(TlearnError, match="the name of a class: expected "):
        session.decide([{"id": 0, "decision": "keep"}, {"id": 1, "decision": "change", "label": name}])
    assert LabelList(session.pool.root).read() == {}


def test_a_name_with_blanks_is_that_of_the_class(session: ReviewSession) -> None:
    label = session.items(Filters(ids=(0,)))["items"][0]["label"]
    session.decide([{"id": 0, "decision": "change", "label": f" {label} "}])
    assert [(row.decision, row.label) for row in LabelList(session.pool.root).read().values()] == [("keep", label)]


def test_without_two_pictures_of_a_class_no_score_is_claimed(tmp_path: Path) -> None:
    state = ReviewSession(fake_pool(tmp_path, 1, wrong=())).state()
    assert set(state["score"].values()) == {None}


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (Filters(disagrees=True), set(WRONG)),
        (Filters(proposal="dog", disagrees=True), {25}),
        (Filters(label="eel", proposal="dog"), {25}),
        (Filters(group="site 5", disagrees=True), {47}),
        (Filters(decided="yes"), {0}),
        (Filters(decided="no", disagrees=True), set(WRONG)),
        (Filters(ids=(4, 25), disagrees=True), {25}),
    ],
)
def test_filters(tmp_path: Path, filters: Filters, ids: set[int]) -> None:
    session = ReviewSession(fake_pool(tmp_path, groups=6))
    session.decide([{"id": 0, "decision": "keep"}])
    page = session.items(filters)
    assert {item["id"] for item in page["items"]} == ids
    assert page["total"] == len(ids)
    assert page["items"][0]["group"] == f"site {page['items'][0]['id'] % 6}"


def test_what_does_not_exist_is_refused_and_nothing_is_written(session: ReviewSession) -> None:
    for given, said in [
        ({"id": 60, "decision": "keep"}, "expected the number of a picture from 0 to 59, got 60"),
        ({"id": 1, "decision": "delete"}, "expected keep, change, exclude, unsure, got 'delete'"),
        ({"id": 1, "decision": "change", "label": " "}, "expected the name of the class that it is changed to"),
    ]:
        with pytest.raises(TlearnError, match=said):
            session.decide([{"id": 0, "decision": "keep"}, given])  # type: ignore[list-item]  # the fault itself
    with pytest.raises(TlearnError, match="class 'fox'"):
        session.items(Filters(label="fox"))
    with pytest.raises(TlearnError, match="from 0 to 59, got 99"):
        session.items(Filters(ids=(99,)))
    assert not (session.pool.root / LABELS).exists()


def test_whole_groups_are_left_out_together(tmp_path: Path) -> None:
    pool = fake_pool(tmp_path, groups=3, wrong=())
    groups = torch.arange(60) // 20  # each class is a group of its own: no head without it knows the class
    session = ReviewSession(pool.__class__(**{**vars(pool), "groups": groups}))
    item = session.items(count=1)["items"][0]
    assert (item["proposal"], item["probability"], item["doubt"]) == (None, None, None)
    assert session.state()["worth_looking"] == 0


def test_what_the_doctor_finds_comes_in_the_background(tmp_path: Path) -> None:
    session = ReviewSession(fake_pool(tmp_path), findings=lambda: {"dog/dog005.png": ["the same picture as x"]})
    session.wait()
    assert session.items(Filters(ids=(25,)))["items"][0]["findings"] == ["the same picture as x"]
