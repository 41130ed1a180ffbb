"""Moving pictures into the folders of their new classes, and back."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.helpers.fake_pictures import picture, write_folder, write_splits
from tlearn import ImageFolderDataModule, ImageTableDataModule, ListedFolderDataModule, TlearnError
from tlearn.data.files.exclusions import write_exclusions
from tlearn.data.labels import apply as apply_module
from tlearn.data.labels.apply import UNDO, Move, apply_moves, planned_moves, undo_moves
from tlearn.data.labels.label_list import LABELS, Decision, LabelList


def decide(root: Path, *rows: tuple[str, str, str, str]) -> None:
    LabelList(root).decide([Decision(*row, doubt="self-confidence 0.9") for row in rows])  # type: ignore[arg-type]


def plan(root: Path) -> list[Move]:
    return planned_moves(ImageFolderDataModule(root=str(root)))


def files(root: Path) -> dict[str, bytes]:
    """What lies in a folder, but for the lists and their lock."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.parent != root
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = write_splits(tmp_path / "pictures")
    (root / "train/dog/site").mkdir()
    picture("dog", 99).save(root / "train/dog/site/deep.png")
    picture("cat", 98).save(root / "train/cat/dog000.png")  # a camera's names, the same in each folder
    picture("cat", 97).save(root / "train/loose.png")
    decide(
        root,
        ("train/dog/dog000.png", "dog", "cat", "change"),
        ("train/dog/site/deep.png", "dog", "cat", "change"),
        ("train/loose.png", "", "fox", "label"),
        ("train/eel/eel000.png", "eel", "", "exclude"),
        ("train/eel/eel001.png", "eel", "", "unsure"),
        ("train/eel/eel002.png", "eel", "eel", "keep"),
        ("train/eel/eel003.png", "cat", "dog", "change"),  # out of date
        ("val/eel/eel500.png", "eel", "dog", "change"),
        ("test/eel/eel700.png", "eel", "fox", "change"),
    )
    return root


MOVES = {
    "train/dog/dog000.png": "train/cat/dog000_2.png",
    "train/dog/site/deep.png": "train/cat/site/deep.png",
    "train/loose.png": "train/fox/loose.png",
    "val/eel/eel500.png": "val/dog/eel500.png",
    "test/eel/eel700.png": "test/fox/eel700.png",
}


def test_plan_move_and_back(root: Path) -> None:
    before, listed = files(root), LabelList(root).read()
    data = ImageFolderDataModule(root=str(root), unknown_classes="ignore")
    moves = planned_moves(data)
    assert {move.source: move.target for move in moves} == MOVES
    assert files(root) == before  # a plan moves nothing
    assert not (root / UNDO).exists()
    labels = {split: files_of(data, split) for split in ("train", "val", "test")}

    assert apply_moves(root, moves) == root / UNDO
    assert files(root) == {MOVES.get(name, name): content for name, content in before.items()}
    assert not (root / "train/dog/site").exists()  # nothing is left in it
    moved = LabelList(root).read()
    assert moved["train/cat/dog000_2.png"] == Decision(
        "train/cat/dog000_2.png",
        "cat",
        "cat",
        "keep",
        listed["train/dog/dog000.png"].time,
        "self-confidence 0.9",
    )
    assert moved["train/eel/eel000.png"] == listed["train/eel/eel000.png"]
    assert len(moved) == len(listed)
    again = ImageFolderDataModule(root=str(root), unknown_classes="ignore")
    for split, before_moving in labels.items():
        assert files_of(again, split) == sorted(before_moving)  # what is learned is the same
    assert planned_moves(again) == []

    assert undo_moves(root) == len(MOVES)
    assert files(root) == before
    assert LabelList(root).read() == listed
    assert not (root / UNDO).exists()
    assert not (root / "test/fox").exists()
    with pytest.raises(TlearnError, match=r"nothing to undo: there is no tlearn-labels-undo.json"):
        undo_moves(root)


def files_of(data: ImageFolderDataModule, split: str) -> list[tuple[bytes, str]]:
    """Return content and label of each picture, sorted."""
    found = data.files_of(split)  # type: ignore[arg-type]
    assert found is not None
    named = zip(found.names, found.targets.tolist(), strict=True)
    return sorted(((data.root / name).read_bytes(), data.class_names[number]) for name, number in named)


def test_two_moves_are_undone_one_by_one(root: Path) -> None:
    before = files(root)
    apply_moves(root, plan_ignoring(root))
    first = files(root)
    decide(root, ("train/cat/cat000.png", "cat", "eel", "change"))
    apply_moves(root, plan_ignoring(root))
    assert undo_moves(root) == 1
    assert files(root) == first
    assert undo_moves(root) == len(MOVES)
    assert files(root) == before


def plan_ignoring(root: Path) -> list[Move]:
    return planned_moves(ImageFolderDataModule(root=str(root), unknown_classes="ignore"))


def test_no_file_is_ever_overwritten(root: Path) -> None:
    moves = plan_ignoring(root)
    taken = root / "train/cat/dog000_2.png"
    taken.write_bytes(b"of another program, put there meanwhile")
    with pytest.raises(TlearnError, match=r"dog000_2\.png is there by now; nothing is overwritten"):
        apply_moves(root, moves)
    assert taken.read_bytes() == b"of another program, put there meanwhile"
    assert (root / "train/dog/dog000.png").is_file()
    taken.unlink()
    apply_moves(root, plan_ignoring(root))
    (root / "train/dog").mkdir(exist_ok=True)
    (root / "train/dog/dog000.png").write_bytes(b"new")
    with pytest.raises(TlearnError, match=r"train/dog/dog000\.png: a file is there again"):
        undo_moves(root)
    assert (root / "train/dog/dog000.png").read_bytes() == b"new"


def test_without_hard_links(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    before = files(root)
    apply_moves(root, plan_ignoring(root))
    assert files(root) == {MOVES.get(name, name): content for name, content in before.items()}
    assert undo_moves(root) == len(MOVES)


def test_a_link_still_leads_to_its_picture(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pictures")
    store = tmp_path / "store.png"
    picture("cat", 50).save(store)
    (root / "dog/link.png").symlink_to("../../store.png")
    decide(root, ("dog/link.png", "dog", "cat", "change"))
    apply_moves(root, plan(root))
    assert (root / "cat/link.png").read_bytes() == store.read_bytes()
    assert (root / "cat/link.png").is_symlink()


def test_a_kill_between_file_and_list(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, listed = files(root), LabelList(root).read()
    moves = plan_ignoring(root)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LabelList, "decide", killed)
        with pytest.raises(KeyboardInterrupt):
            apply_moves(root, moves)
    assert "train/dog/dog000.png" in LabelList(root).read()  # the list still names the old place
    assert not (root / "train/dog/dog000.png").exists()
    with pytest.raises(TlearnError, match="nothing to move"):
        apply_moves(root, plan_ignoring(root))  # and puts the list right
    assert LabelList(root).read()["train/cat/dog000_2.png"].decision == "keep"
    assert undo_moves(root) == len(MOVES)
    assert (files(root), LabelList(root).read()) == (before, listed)


def test_what_the_doctor_left_out_stays(root: Path) -> None:
    write_exclusions(root, {"train/dog/dog000.png": "broken"})
    assert "train/dog/dog000.png" not in [move.source for move in plan_ignoring(root)]


def test_a_flat_folder_gets_class_folders(tmp_path: Path) -> None:
    root = tmp_path / "flat"
    (root / "deep").mkdir(parents=True)
    for number in range(6):
        picture("cat", number).save(root / ("deep" if number == 5 else "") / f"{number}.png")
    names = [*(f"{number}.png" for number in range(5)), "deep/5.png"]
    decide(root, *[(name, "", "dog" if number % 2 else "cat", "label") for number, name in enumerate(names[:3])])
    decide(root, ("deep/5.png", "", "dog", "label"), ("3.png", "", "", "exclude"), ("2.png", "cat", "dog", "change"))
    moves = planned_moves(ListedFolderDataModule(root=str(root)))
    assert {move.source: move.target for move in moves} == {
        "0.png": "cat/0.png",
        "1.png": "dog/1.png",
        "2.png": "dog/2.png",
        "deep/5.png": "dog/deep/5.png",
    }
    apply_moves(root, moves)
    data = ImageFolderDataModule(root=str(root))
    found = data.files_of("train")
    assert found is not None
    assert found.names == ["cat/0.png", "dog/1.png", "dog/2.png", "dog/deep/5.png"]
    assert undo_moves(root) == 4


@pytest.mark.parametrize(
    "label", ["../../etc", "a/b", ".hidden", " blank", "two\nlines", "x" * 300, "test", "Thumbs.db"]
)
def test_labels_that_can_be_no_folder(tmp_path: Path, label: str) -> None:
    root = write_folder(tmp_path / "pictures")
    decide(root, ("dog/dog000.png", "dog", label, "change"))
    with pytest.raises(TlearnError, match=r"^the label .* can be no folder, expected .*; change it in tlearn-labels"):
        plan(root)


def test_a_table_has_no_folders(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pictures")
    rows = [f"{path.relative_to(root)},{path.parent.name}" for path in sorted(root.rglob("*.png"))]
    (root / "t.csv").write_text("\n".join(["path,label", *rows]))
    decide(root, ("dog/dog000.png", "dog", "cat", "change"))
    with pytest.raises(TlearnError, match=f"these labels are in a table: {re.escape(LABELS)} stays beside it"):
        planned_moves(ImageTableDataModule(table=str(root / "t.csv")))


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "no JSON",
        json.dumps({"batches": [[["a.png", "../../b.png", ["a.png", "x", "y", "change", "", ""], "y"]]]}),
        json.dumps({"batches": [[["/etc/passwd", "b.png", ["a.png", "x", "y", "change", "", ""], "y"]]]}),
        json.dumps({"batches": [[["a.png", 7, ["a.png", "x", "y", "change", "", ""], "y"]]]}),
        json.dumps({"batches": [[["a.png", "b.png", 7, "y"]]]}),
    ],
)
def test_an_undo_file_of_a_stranger(tmp_path: Path, content: str) -> None:
    (tmp_path / UNDO).write_text(content)
    with pytest.raises(TlearnError, match=r"tlearn-labels-undo\.json"):
        undo_moves(tmp_path)


def test_many_files_go_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply_module, "_TOGETHER", 3)
    root = write_folder(tmp_path / "pictures")
    decide(root, *[(f"dog/dog{number:03d}.png", "dog", "cat", "change") for number in range(7)])
    apply_moves(root, plan(root))
    assert {row.decision for row in LabelList(root).read().values()} == {"keep"}
    assert len(list((root / "cat").iterdir())) == 15
