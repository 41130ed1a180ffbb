"""`tlearn optimize`: every picture bit by bit, whole or not at all, and nothing left out in silence."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from litdata import StreamingDataset
from litdata.streaming.writer import BinaryWriter

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import write_broken, write_splits
from tlearn import StreamingDataModule
from tlearn.data.shards.index import ShardIndex
from tlearn.data.shards.pictures import ShardedImages


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_splits(tmp_path / "pictures")


def pictures_of(out: Path, split: str) -> list[tuple[str, bytes, str]]:
    """Name, content and class of each, in the order of the shards."""
    data = StreamingDataModule(str(out))
    data.setup("test" if split == "test" else "fit")
    images = data.dataset(split)  # type: ignore[arg-type]
    assert isinstance(images, ShardedImages)
    assert images.indices.tolist() == list(range(len(images)))
    labels = [data.class_names[label] for label in images.targets.tolist()]
    return [(images.pictures.name(row), images.pictures.content(row), labels[row]) for row in range(len(images))]


def test_packs_every_picture_as_it_is(tlearn: Tlearn, pictures: Path, tmp_path: Path) -> None:
    answer = tlearn("optimize", "pictures", "packed", "--shard_mb", "0.05")
    assert answer.code == 0, answer.err
    shards = sorted((tmp_path / "packed").rglob("*.bin"))
    megabytes = sum(path.stat().st_size for path in shards) / 1e6
    said = f"48 images in {len(shards)} shards, {megabytes:.1f} MB: packed; next: tlearn fit "
    assert answer.out.splitlines()[-1] == said + "packed"
    assert len(shards) > 9
    assert max(path.stat().st_size for path in shards) < 55_000
    for split, count in (("train", 24), ("val", 12), ("test", 12)):
        packed = pictures_of(tmp_path / "packed", split)
        names = sorted(path.relative_to(pictures).as_posix() for path in (pictures / split).rglob("*.png"))
        assert len(names) == count
        assert sorted(name for name, _, _ in packed) == names
        assert all(content == (pictures / name).read_bytes() for name, content, _ in packed)
        assert all(label == name.split("/")[1] for name, _, label in packed)
        # LitData's own reader finds the same.
        assert list(StreamingDataset(str(tmp_path / "packed" / split))) == [content for _, content, _ in packed]
        assert (names == [name for name, _, _ in packed]) is (split != "train")
    first = json.loads((tmp_path / "packed/tlearn.json").read_text())["splits"]["train"]["shards"][0]["images"]
    assert len({label for _, _, label in pictures_of(tmp_path / "packed", "train")[:first]}) > 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != ".cache") == ["packed", "pictures"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pictures"], "expected optimize FOLDER OUT [--shard_mb 64], got 'optimize pictures'"),
        (["pictures", "there"], "there exists already; remove it, or name another folder"),
        (["pictures", "no/packed"], "/no does not exist; make it first"),
        (["pictures", "pictures/packed"], "lies in the folder to pack"),
        (
            ["pictures", "packed", "--shard_mb", "0"],
            "--shard_mb: expected megabytes, more than 0 and at most 4000, got 0",
        ),
        (["pictures", "packed", "--shard_mb", "nan"], "more than 0 and at most 4000, got nan"),
        (["pictures", "packed", "--data.init_args.on_error", "skp"], "Did you mean 'skip'? Choices: error, skip"),
        (["there", "packed"], "no folder train in"),
        (["nowhere", "packed"], "optimize FOLDER OUT: no folder at "),
    ],
)
def test_faults_are_said(words: list[str], said: str, tlearn: Tlearn, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    before = sorted(tmp_path.rglob("*"))
    answer = tlearn("optimize", *words)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert said in answer.err
    assert sorted(tmp_path.rglob("*")) == before


def test_without_litdata_it_says_what_to_install(
    tlearn: Tlearn, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tlearn.commands.optimize.find_spec", lambda name: None)
    answer = tlearn("optimize", "pictures", "packed")
    assert answer.err.splitlines()[-1] == "error: optimize needs: pip install 'tlearn[stream]'"


def test_unreadable_pictures_stop_it_or_are_counted(tlearn: Tlearn, pictures: Path, tmp_path: Path) -> None:
    reasons = write_broken(pictures / "train/cat")
    answer = tlearn("optimize", "pictures", "packed")
    assert answer.code == 2
    assert "4 of 28 train pictures cannot be read" in answer.err
    assert all(f"{name} ({reason})" in answer.err for name, reason in reasons.items())
    assert not (tmp_path / "packed").exists()
    assert "--data.init_args.on_error skip leaves them out" in answer.err
    answer = tlearn("optimize", "pictures", "packed", "--data.init_args.on_error", "skip")
    assert answer.code == 0
    assert "skipped 4 that cannot be read" in answer.err
    assert answer.out.splitlines()[-1].startswith("48 images in 3 shards")


@pytest.mark.parametrize("fault", ["full", "changed"])
def test_is_whole_or_not_at_all(
    fault: str, tlearn: Tlearn, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(self: BinaryWriter, data: bytes, filename: str, compress: bool | None = None) -> None:
        if fault == "changed":
            for path in (pictures / "val").rglob("*.png"):
                path.write_bytes(path.read_bytes() + b"x")
        elif filename == "chunk-0-2.bin":
            raise OSError(errno.ENOSPC, "No space left on device", filename)
        Path(self._cache_dir, filename).write_bytes(data)

    monkeypatch.setattr(BinaryWriter, "write_chunk_to_file", write)
    answer = tlearn("optimize", "pictures", "packed", "--shard_mb", "0.05")
    assert answer.code == 2
    said = (
        "disk full: cannot write" if fault == "full" else "has changed while it was packed: run tlearn optimize again"
    )
    assert said in answer.err.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != ".cache") == ["pictures"]


@pytest.mark.fault("Two processes pack into one folder", "one of them, whole; the other refused in one line")
@pytest.mark.parametrize("meets", ["at its start", "at its end"])
def test_of_two_that_pack_into_one_folder_one_is_refused(
    meets: str, tlearn: Tlearn, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []

    def meet_another(*given: Any) -> Any:
        monkeypatch.setattr("tlearn.data.shards.index.ShardIndex.as_text", as_text)
        if meets == "at its end":
            monkeypatch.setattr("tlearn.data.shards.writer._hold", lambda *_: os.open("/", os.O_RDONLY))
            Path("packed").mkdir()
            Path("packed/theirs").touch()
        else:
            answers.append(tlearn("optimize", "pictures", "packed"))
        return as_text(*given)

    as_text: Any = ShardIndex.as_text
    monkeypatch.setattr("tlearn.data.shards.index.ShardIndex.as_text", meet_another)
    answers.append(tlearn("optimize", "pictures", "packed"))
    refused = answers[0]
    assert refused.code == 2
    place = tmp_path / "packed"
    said = {
        "at its start": f"another process is writing {place}; wait for it, or name another folder",
        "at its end": f"{place} was written by another process meanwhile; use it, or name another folder",
    }
    assert refused.err.splitlines()[-1] == f"error: {said[meets]}"
    assert [each.code for each in answers[1:]] == [0] * (meets == "at its start")
    assert (place / "theirs").exists() is (meets == "at its end")
    assert not list(tmp_path.glob(".packed*"))


def test_what_a_killed_process_left_is_written_over(tlearn: Tlearn, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / ".packed.partial/train").mkdir(parents=True)
    (tmp_path / ".packed.partial/train/chunk-9.bin").write_text("half")
    assert tlearn("optimize", "pictures", "packed").code == 0
    assert not list((tmp_path / "packed").rglob("chunk-9.bin"))
    assert not list(tmp_path.glob(".packed*"))
