"""Features of a frozen backbone are computed once, and never outlive what they were made from (C41)."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from torch.utils.data import DataLoader

from tests.conftest import Tlearn
from tests.helpers.fake_cifar import patch_checksums
from tests.helpers.runs import FROZEN, entries, events, newest, state
from tlearn.base import feature_store
from tlearn.base.feature_store import Features, fill, key_of, load
from tlearn.data.images.in_memory import CachedFeatures, InMemoryImages
from tlearn.data.images.sampling import EpochBatchSampler
from tlearn.data.loaders import PhasedLoader


def test_the_head_learns_the_same_from_cached_features(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    first = tlearn("fit", "-c", small, *FROZEN)
    again = tlearn("fit", "-c", small, *FROZEN)
    live = tlearn("fit", "-c", small, *FROZEN, "--model.feature_cache", "off")
    assert (first.code, again.code, live.code) == (0, 0, 0)
    assert "features of train: 24 images x 64" in first.err
    assert first.err.count("computed once") == 2
    assert again.err.count("from the cache") == 2
    assert "features of" not in live.err
    cached, repeated, alone = (state(tmp_path, version) for version in range(3))
    assert cached.keys() == alone.keys()  # the whole network is in the checkpoint
    for name, value in alone.items():
        assert torch.equal(cached[name], repeated[name])
        assert torch.allclose(cached[name], value, rtol=0, atol=1e-5), name
    reached = newest(events(tmp_path, 0), "val/acc")
    assert reached == newest(events(tmp_path, 2), "val/acc")
    assert tlearn("validate", "--ckpt_path", "runs/small/version_0/checkpoints/last.ckpt").code == 0
    assert newest(events(tmp_path, 0), "val/acc") == reached  # from images, what the cache had promised


CHANGES = [
    ["--model.image_size", "20"],
    ["--model.tap", "stem"],
    ["--seed_everything", "1"],  # other random weights
    ["--data.split_seed", "1"],
    ["--data.train_per_class", "7"],
    ["--data.size_px", "18"],
    ["--data.classes", "[0, 2, 1]"],
    ["--trainer.precision", "bf16-mixed"],
]


@pytest.mark.slow
def test_every_change_is_another_entry(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    words = ["fit", "-c", small, *FROZEN, "--trainer.max_epochs", "1"]
    assert tlearn(*words).code == 0
    for change in CHANGES:
        before = len(entries(tmp_path))
        assert tlearn(*words, *change).code == 0
        assert len(entries(tmp_path)) > before, change
    before = len(entries(tmp_path))
    assert tlearn(*words, "--model.feature_cache", "refresh").err.count("computed once") == 2
    assert len(entries(tmp_path)) == before


@pytest.mark.parametrize(
    "options",
    [
        ["--model.freeze_until", "stem"],
        [*FROZEN, "--data.augment.flip", "true"],
        [*FROZEN, "--trainer.fast_dev_run", "true"],
        [*FROZEN, "--trainer.limit_train_batches", "1"],
    ],
)
def test_what_is_never_cached(options: list[str], tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    assert tlearn("fit", "-c", small, *options).code == 0
    assert entries(tmp_path) == []
    answer = tlearn("fit", "-c", small, *options, "--model.feature_cache", "refresh")
    assert answer.code == 2
    assert "model.feature_cache refresh: nothing to cache, " in answer.err


def test_an_unfreezing_goes_over_to_images(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    words = ["fit", "-c", small, "--trainer.max_epochs", "3", "--model.unfreeze", "{layer1: 2}"]
    cached = tlearn(*words)
    assert (cached.code, tlearn(*words, "--model.feature_cache", "off").code) == (0, 0)
    assert "features of train" in cached.err
    for name, value in state(tmp_path, 1).items():
        assert torch.allclose(state(tmp_path, 0)[name].float(), value.float(), rtol=0, atol=1e-4), name
    assert len(events(tmp_path, 0).Scalars("val/acc")) == 3


@pytest.mark.pictures
def test_resumed_on_the_cache_with_the_same_bits(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    words = ["fit", "-c", small, "--model.unfreeze", "{layer1: 2}"]
    assert tlearn(*words, "--trainer.max_epochs", "4").code == 0
    for epochs in ("1", "3"):
        assert tlearn(*words, "--trainer.max_epochs", epochs).code == 0
        version = 1 if epochs == "1" else 2
        checkpoint = f"runs/small/version_{version}/checkpoints/last.ckpt"
        answer = tlearn(*words, "--trainer.max_epochs", "4", "--ckpt_path", checkpoint)
        assert answer.code == 0
        assert ("features of" in answer.err) == (epochs == "1")
        for name, value in state(tmp_path, 0).items():
            assert torch.equal(state(tmp_path, version)[name], value), name


@pytest.mark.fault("Cached features cut short, changed, or without their record", "computed again, with the same bits")
def test_a_damaged_entry_is_rebuilt(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    assert tlearn("fit", "-c", small, *FROZEN).code == 0
    for damage in (lambda b: b[:-5], lambda b: b[:200] + bytes([b[200] ^ 1]) + b[201:], lambda b: b""):
        for path in entries(tmp_path):
            path.write_bytes(damage(path.read_bytes()))
        assert tlearn("fit", "-c", small, *FROZEN).err.count("computed once") == 2
    for path in entries(tmp_path):
        path.with_suffix(".json").write_text('{"sha256": 3')
    assert tlearn("fit", "-c", small, *FROZEN).err.count("computed once") == 2
    assert len({str(state(tmp_path, version)["head.weight"].tolist()) for version in range(5)}) == 1


def test_a_folder_that_cannot_be_written(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    (tmp_path / ".cache").write_text("a file stands where the folder should")
    answer = tlearn("fit", "-c", small, *FROZEN)
    assert answer.code == 2
    assert "--model.feature_cache off" in answer.err


@pytest.mark.fault("A process dies while it writes cached features", "the next one computes them")
def test_a_writer_that_dies_leaves_nothing_under_the_final_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_store, "FOLDER", tmp_path)
    about = {"what": "a test"}
    code = (
        "import os, pathlib, numpy as np; from tlearn.base import feature_store as s\n"
        f"s.FOLDER = pathlib.Path({str(tmp_path)!r})\n"
        "def chunks():\n    yield np.zeros((1, 2), np.float32)\n    os._exit(9)\n"
        f"s.fill({about!r}, (2, 2), chunks(), False)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert load(about) is None
    made = fill(about, (2, 2), iter([np.ones((2, 2), np.float32)]), renew=False)  # the lock died with its holder
    assert made.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".json", ".lock", ".npy"]
    assert json.loads((tmp_path / f"{key_of(about)}.json").read_text())["about"] == about


def test_two_processes_compute_an_entry_once(tmp_path: Path) -> None:
    code = (
        "import pathlib, time, numpy as np; from tlearn.base import feature_store as s\n"
        f"s.FOLDER = pathlib.Path({str(tmp_path)!r})\n"
        "def chunks():\n    print('computed'); time.sleep(0.5); yield np.ones((2, 2), np.float32)\n"
        "print(s.fill({}, (2, 2), chunks(), False).sum())"
    )
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = "".join(process.communicate()[0] for process in both)
    assert said.count("computed") == 1
    assert said.count("4.0") == 2


def test_chunks_are_not_computed_where_an_entry_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_store, "FOLDER", tmp_path)

    def once() -> Iterator[Features]:
        yield np.ones((1, 1), np.float32)

    def never() -> Iterator[Features]:
        raise AssertionError
        yield

    fill({}, (1, 1), once(), renew=False)
    assert fill({}, (1, 1), never(), renew=False).tolist() == [[1.0]]


def test_a_plan_counts_the_pass_once(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    planned = []
    for cache in ("auto", "off"):
        answer = tlearn("plan", "-c", small, *FROZEN, "--model.feature_cache", cache, "--out", "plan.json")
        assert answer.code == 0, answer.err
        assert ("what is frozen runs once and what it gives is kept" in answer.out) == (cache == "auto")
        planned.append(json.loads((tmp_path / "plan.json").read_text()))
    assert planned[0]["features_time_s"] > 0
    assert planned[1]["features_time_s"] == 0
    assert planned[0]["epoch_time_s"][0] < planned[1]["epoch_time_s"][0]
    assert entries(tmp_path) == []


def test_cache_lists_and_removes(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    assert "no features or pictures in" in tlearn("cache", "ls").out
    for size_px in ("16", "20"):
        assert tlearn("fit", "-c", small, *FROZEN, "--model.image_size", size_px).code == 0
    names = [path.stem for path in entries(tmp_path)]
    listed = tlearn("cache", "ls").out
    assert all(name[:8] in listed for name in names)
    assert listed.count("24 x 64") == listed.count("21 x 64") == 2
    assert "4 entries" in listed
    answer = tlearn("cache", "rm", names[0][:8], "feed")
    assert answer.code == 2
    assert "unknown entry of the cache 'feed'" in answer.err
    assert len(entries(tmp_path)) == 4  # a wrong name removes nothing
    assert "removed 1 entry," in tlearn("cache", "rm", names[0][:8]).out
    assert [path.stem for path in entries(tmp_path)] == names[1:]
    entries(tmp_path)[0].write_bytes(b"")
    assert tlearn("cache", "ls").out.count("damaged") == 1
    assert "removed 3 entries" in tlearn("cache", "rm", "all").out
    assert not [path for path in (tmp_path / ".cache/tlearn").iterdir() if path.suffix != ".lock"]


@pytest.mark.parametrize("words", [[], ["list"], ["rm"], ["ls", "-x"]])
def test_cache_says_what_it_takes(words: list[str], tlearn: Tlearn) -> None:
    answer = tlearn("cache", *words)
    assert answer.code == 2
    assert "cache ls | cache rm NAME ... | cache rm all" in answer.err


def test_an_entry_that_is_being_written_stays(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    assert tlearn("fit", "-c", small, *FROZEN).code == 0
    path = entries(tmp_path)[0]
    with FileLock(path.with_suffix(".lock")):
        answer = tlearn("cache", "rm", path.stem)
    assert answer.code == 2
    assert "a run is writing it now" in answer.err
    assert path.exists()


def test_steps_are_logged_the_same_from_features(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    for cache in ("auto", "off"):
        words = ["fit", "-c", small, *FROZEN, "--model.feature_cache", cache, "--trainer.log_every_n_steps", "2"]
        assert tlearn(*words, "--trainer.max_epochs", "4").code == 0
    cached, live = (events(tmp_path, version).Scalars("train/loss_step") for version in (0, 1))
    assert [point.step for point in cached] == [point.step for point in live] == [1, 3, 5, 7, 9, 11]
    assert [point.value for point in cached] == pytest.approx([point.value for point in live], abs=1e-5)


def test_one_pixel_is_another_entry(tlearn: Tlearn, cifar_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["fit", "-c", "feature_extractor.yaml", "--data.root", str(cifar_root), "--model.weights", "null"]
    words += ["--model.tap", "layer1", "--trainer.max_epochs", "1"]
    assert tlearn(*words).err.count("computed once") == 2
    path = cifar_root / "cifar-10-batches-py/data_batch_1"
    with path.open("rb") as file:
        content = pickle.load(file)
    content[next(name for name in content if name in ("data", b"data"))][0, 0] ^= 1
    times = path.stat()
    path.write_bytes(pickle.dumps(content, protocol=2))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    patch_checksums(monkeypatch, cifar_root)
    assert tlearn(*words).err.count("computed once") == 2
    assert tlearn(*words).err.count("from the cache") == 2


def test_workers_beyond_the_cores_are_warned_of_once(tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, *FROZEN, "--data.num_workers", "8", "--trainer.max_epochs", "1")
    assert answer.code == 0
    assert answer.err.count("num_workers 8") == 1


def test_validation_on_features_takes_large_batches_unless_they_are_limited() -> None:
    images = InMemoryImages(torch.zeros(5000, 3, 1, 1), torch.arange(5000), torch.arange(5000))
    features = CachedFeatures([torch.arange(5000.0)[:, None]], images, seed=0)
    loader = DataLoader(images, batch_size=None, sampler=EpochBatchSampler(5000, 64, False, False, seed=0))
    merged = list(PhasedLoader(lambda: features, loader, merges=True))
    assert [len(batch.targets) for batch in merged] == [4096, 904]
    assert torch.cat([batch.images[:, 0] for batch in merged]).tolist() == list(range(5000))
    assert len(list(PhasedLoader(lambda: features, loader))) == len(loader) == 79


def test_a_limited_validation_sees_its_share(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    for cache in ("auto", "off"):
        words = ["fit", "-c", small, *FROZEN, "--trainer.limit_val_batches", "1", "--model.feature_cache", cache]
        assert tlearn(*words).code == 0
    losses = [[point.value for point in events(tmp_path, version).Scalars("val/loss")] for version in (0, 1)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
