"""Which pictures a session asks for, and what becomes of the answers, on made features whose clusters are known."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tlearn.analysis.pool.labelled_pool import LabelledPool
from tlearn.analysis.pool.unlabelled_pool import UnlabelledPool
from tlearn.analysis.query.choose import next_pictures
from tlearn.base.errors import TlearnError
from tlearn.data.files.reading import Framing
from tlearn.data.labels.label_list import Decision, LabelList
from tlearn.pages.label.session import LabelSession

CHOICE = "tlearn.pages.label.chooser.next_pictures"
ANIMALS = ("cat", "dog", "owl")


def pool_in(root: Path, each: int = 40, spread: float = 0.3, width: int = 16) -> UnlabelledPool:
    """Return pictures of three clusters, named after them: ``cat/0.jpg`` and so on. There are no files."""
    draws = torch.Generator().manual_seed(0)
    truth = torch.arange(3).repeat_interleave(each)
    features = 3 * torch.eye(width)[truth] + spread * torch.randn(len(truth), width, generator=draws)
    names = [f"{ANIMALS[number]}/{place}.jpg" for place, number in enumerate(truth.tolist())]
    return UnlabelledPool(root, names, features, [name.encode() for name in names], Framing(), {})


def truth_of(name: str) -> str:
    return name.partition("/")[0]


def answer(session: LabelSession, items: list[dict[str, Any]]) -> dict[str, Any]:
    return session.decide([{"id": each["id"], "decision": "label", "label": truth_of(each["name"])} for each in items])


@pytest.fixture
def session(tmp_path: Path) -> Iterator[LabelSession]:
    made = LabelSession(pool_in(tmp_path), batch=6)
    yield made
    made.settle()


def test_without_any_class_the_first_answers_make_them(session: LabelSession, tmp_path: Path) -> None:
    asked = session.next(6)
    assert {truth_of(each["name"]) for each in asked["items"]} == set(ANIMALS)
    assert {each["proposal"] for each in asked["items"]} == {None}
    assert {each["why"] for each in asked["items"]} == {"typical of a cluster without a label"}
    state = answer(session, asked["items"])
    assert sorted(state["class_names"]) == sorted(ANIMALS)
    assert state["counts"] == {"pictures": 120, "labelled": 6, "given": 0, "left": 114, "none": 0, "unsure": 0}
    rows = LabelList(tmp_path).read()
    assert {row.path: row.label for row in rows.values()} == {e["name"]: truth_of(e["name"]) for e in asked["items"]}
    assert {(row.old, row.decision, row.doubt) for row in rows.values()} == {
        ("", "label", "typical of a cluster without a label")
    }


def test_each_picture_is_asked_for_once_until_none_is_left(session: LabelSession) -> None:
    seen = list[int]()
    while items := session.next(25)["items"]:
        seen += [each["id"] for each in items]
        answer(session, items)
    assert sorted(seen) == list(range(120))
    assert session.state()["counts"]["left"] == 0


def test_proposals_are_right_once_each_class_has_labels(session: LabelSession) -> None:
    answer(session, session.next(18)["items"])
    session.settle()
    items = session.next(6)["items"]
    assert [each["proposal"] for each in items] == [truth_of(each["name"]) for each in items]
    assert all(0 < each["probability"] <= 1 for each in items)
    assert all(re.fullmatch(r"between \w+ and \w+", each["why"]) for each in items)


def test_what_is_shown_is_not_chosen_again_before_all_others(session: LabelSession) -> None:
    first = {each["id"] for each in session.next(6)["items"]}
    second = {each["id"] for each in session.next(6)["items"]}
    assert not first & second


def test_what_was_shown_last_comes_again_when_nothing_else_is_left(tmp_path: Path) -> None:
    session = LabelSession(pool_in(tmp_path, each=2), batch=10)
    items = session.next(10)["items"]
    assert len(items) == 6
    answer(session, items[2:])
    again = session.next(10)["items"]
    assert sorted(each["id"] for each in again) == sorted(each["id"] for each in items[:2])
    session.settle()


def test_none_of_these_and_unsure_count_and_are_not_asked_for_again(session: LabelSession, tmp_path: Path) -> None:
    items = session.next(6)["items"]
    state = session.decide(
        [{"id": items[0]["id"], "decision": "exclude"}, {"id": items[1]["id"], "decision": "unsure"}]
    )
    assert (state["counts"]["none"], state["counts"]["unsure"], state["counts"]["labelled"]) == (1, 1, 0)
    assert [row.decision for row in LabelList(tmp_path).read().values()] == ["exclude", "unsure"]
    answer(session, items[2:])
    left = list[int]()
    while found := session.next(50)["items"]:
        left += [each["id"] for each in found]
        answer(session, found)
    assert not {items[0]["id"], items[1]["id"]} & set(left)


def test_undo_takes_back_the_last_one_also_after_a_start(session: LabelSession, tmp_path: Path) -> None:
    items = session.next(6)["items"]
    answer(session, items[:3])
    assert session.undo()["ids"] == [items[2]["id"]]
    session.settle()
    again = LabelSession(pool_in(tmp_path))
    assert again.undo()["ids"] == [items[1]["id"]]
    assert list(LabelList(tmp_path).read()) == [items[0]["name"]]
    undone = again.undo([items[0]["id"], items[5]["id"]])
    assert undone["ids"] == [items[0]["id"]]
    assert undone["state"]["counts"]["labelled"] == 0
    assert again.undo()["ids"] == []
    again.settle()


def test_undo_leaves_what_a_review_decided_on_a_label(session: LabelSession, tmp_path: Path) -> None:
    items = session.next(6)["items"]
    answer(session, items[:2])
    LabelList(tmp_path).decide([Decision(items[1]["name"], "cat", "dog", "change")])
    assert session.undo([items[1]["id"]])["ids"] == []
    assert session.undo()["ids"] == [items[0]["id"]]
    assert {path: row.decision for path, row in LabelList(tmp_path).read().items()} == {items[1]["name"]: "change"}


def test_of_copies_those_that_have_an_answer_stand_for_the_others(tmp_path: Path) -> None:
    pool = pool_in(tmp_path, each=4)
    pool.contents[3:6] = [b"same"] * 3
    decided = [pool.names[4], pool.names[5]]
    LabelList(tmp_path).decide([Decision(name, "", "dog", "label") for name in decided])
    session = LabelSession(pool)
    counts = session.state()["counts"]
    assert (counts["pictures"], counts["labelled"], counts["left"]) == (11, 2, 9)
    assert pool.names[3] not in {each["name"] for each in session.next(12)["items"]}
    session.settle()


def test_another_process_writes_the_list_too(session: LabelSession, tmp_path: Path) -> None:
    rows = [Decision(path, "", "tiger", "label") for path in ("cat/3.jpg", "gone.jpg")]
    LabelList(tmp_path).decide(rows)
    state = session.state()
    assert state["class_names"] == ["tiger"]
    assert state["counts"]["labelled"] == 1


def test_classes_are_one_where_only_blanks_differ(session: LabelSession) -> None:
    assert session.add_class("  snow  leopard ")["added"] == "snow leopard"
    assert session.add_class("snow leopard")["class_names"] == ["snow leopard"]
    for name in ("", " ", "a/b", "a\\b", ".hidden", "x" * 101, "bell\x07"):
        with pytest.raises(TlearnError, match="the name of a class"):
            session.add_class(name)
    with pytest.raises(TlearnError, match="there is no picture 120, they are 0 to 119"):
        session.decide([{"id": 120, "decision": "label", "label": "cat"}])
    with pytest.raises(TlearnError, match="expected a decision of label, exclude, unsure, got 'keep'"):
        session.decide([{"id": 0, "decision": "keep"}])
    assert session.state()["counts"]["left"] == 120


def test_curve_and_forecast_grow_with_the_labels(tmp_path: Path) -> None:
    session = LabelSession(pool_in(tmp_path, each=100, spread=2.0), batch=10)
    assert session.state()["forecast"] == {"text": "too early to say what more labels are worth", "points": []}
    for _ in range(6):
        answer(session, session.next(10)["items"])
    session.settle()
    state = session.state()
    assert [each["labels"] for each in state["curve"]] == [10, 20, 30, 40, 50, 60]
    assert all(0 <= each["low"] <= each["score"] <= each["high"] <= 1 for each in state["curve"])
    assert re.match(r"10 more labels are worth about [+-]\d+\.\d points(;|$)", state["forecast"]["text"])
    assert [each["labels"] for each in state["forecast"]["points"]] == [70, 80, 90, 100, 110, 120]
    session.undo()
    session.settle()
    assert [each["labels"] for each in session.state()["curve"]] == [10, 20, 30, 40, 50, 59]


def labelled_in(root: Path, names: list[str]) -> LabelledPool:
    pool = pool_in(root)
    rows = [pool.names.index(name) for name in names]
    labels = torch.tensor([ANIMALS.index(truth_of(name)) for name in names])
    empty = torch.zeros(len(names), dtype=torch.bool)
    return LabelledPool(root, names, labels, [*ANIMALS], None, [], pool.features[rows], pool.framing, empty)


def test_labelled_pictures_of_elsewhere_teach_from_the_start(tmp_path: Path) -> None:
    others = [f"{name}/{40 * place + number}.jpg" for place, name in enumerate(ANIMALS) for number in range(6)]
    labelled = labelled_in(tmp_path / "others", others)
    session = LabelSession(pool_in(tmp_path), labelled, classes=["bear"], batch=6)
    items = session.next(6)["items"]
    assert [each["proposal"] for each in items] == [truth_of(each["name"]) for each in items]
    state = session.state()
    assert state["class_names"] == [*ANIMALS, "bear"]
    assert (state["counts"]["given"], state["counts"]["labelled"]) == (18, 0)
    session.settle()
    assert [each["labels"] for each in session.state()["curve"]] == [18]


def test_pictures_of_the_folder_that_have_a_label_are_not_asked_for(tmp_path: Path) -> None:
    labelled = labelled_in(tmp_path, ["cat/0.jpg", "dog/40.jpg"])
    LabelList(tmp_path).decide([Decision("dog/40.jpg", "", "dog", "label")])
    session = LabelSession(pool_in(tmp_path), labelled)
    state = session.state()
    assert state["counts"] == {"pictures": 119, "labelled": 1, "given": 1, "left": 118, "none": 0, "unsure": 0}
    assert state["remark"] == "1 picture of the folder had a label already"
    session.settle()


def test_copies_are_asked_for_once_and_broken_files_are_named(tmp_path: Path) -> None:
    pool = pool_in(tmp_path, each=4)
    contents = [b"same" if number < 3 else name.encode() for number, name in enumerate(pool.names)]
    session = LabelSession(replace(pool, contents=contents, unreadable={"a.jpg": "no picture format"}))
    assert len(session.next(50)["items"]) == 10
    assert session.state()["remark"] == (
        "left out 1 file without a picture: a.jpg; of 2 copies one picture is asked for"
    )
    session.settle()


def test_answers_do_not_wait_for_a_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = LabelSession(pool_in(tmp_path), batch=6)
    items = session.next(6)["items"]
    session.settle()

    def slowly(*words: Any) -> Any:
        time.sleep(1.0)
        return next_pictures(*words)

    monkeypatch.setattr(CHOICE, slowly)
    start_s = time.perf_counter()
    for each in items[:5]:
        assert answer(session, [each])["choosing"]
    assert time.perf_counter() - start_s < 0.9
    session.settle()
    assert not session.state()["choosing"]


def test_a_choice_that_fails_is_told_and_the_answers_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = LabelSession(pool_in(tmp_path), batch=6)
    items = session.next(6)["items"]
    session.settle()

    def fails(*words: Any) -> Any:
        raise ValueError("no luck")

    monkeypatch.setattr(CHOICE, fails)
    answer(session, items)
    session.settle()
    state = session.state()
    assert state["remark"] == "choosing failed (ValueError: no luck)"
    assert state["counts"]["labelled"] == 6
    with pytest.raises(TlearnError, match="choosing failed"):
        session.next(6)
