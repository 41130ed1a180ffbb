"""Shards as they are streamed: near, far and from strangers; in which order, and to which of several processes."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from torch import Tensor

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import CONFIG, write_folder, write_splits
from tests.helpers.hostile_files import pickles
from tests.helpers.runs import EVERY_STEP, assert_same, last
from tests.helpers.two_processes import TWO, done
from tlearn import ImageFolderDataModule, StreamingDataModule, TlearnError, main
from tlearn.data.images.augment import Augment
from tlearn.data.shards.index import digest_of
from tlearn.data.shards.order import WINDOW, shard_order
from tlearn.data.shards.pictures import ShardedImages

OPTIONS: dict[str, Any] = {"size_px": 16, "batch_size": 4}


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """24 training pictures in shards of three or four, 12 to validate, 12 to test."""
    root = write_splits(tmp_path / "pictures")
    assert main(["optimize", str(root), str(tmp_path / "packed"), "--shard_mb", "0.05"]) == 0
    return tmp_path / "packed"


def opened(root: object, stage: str = "fit", **options: Any) -> StreamingDataModule:
    data = StreamingDataModule(str(root), **OPTIONS | options)
    data.setup(stage)
    return data


def train_set(data: StreamingDataModule) -> ShardedImages:
    images = data.dataset("train")
    assert isinstance(images, ShardedImages)
    return images


def pixels(data: StreamingDataModule | ImageFolderDataModule, split: str) -> dict[str, Tensor]:
    """What each picture looks like, by name."""
    loader = data.train_dataloader() if split == "train" else data.val_dataloader()
    found = dict[str, Tensor]()
    for images, _, rows in loader:
        names = [str(Path(name)).split("pictures/")[-1] for name in data.picture_names(rows, split)]  # type: ignore[arg-type]
        found |= dict(zip(names, images, strict=True))
    return found


@pytest.mark.parametrize("has_val", [True, False])
def test_shows_what_the_folder_shows(has_val: bool, packed: Path, tmp_path: Path) -> None:
    if not has_val:
        write_folder(tmp_path / "more/pictures/train", count=12)
        packed = tmp_path / "packed_2"
        assert main(["optimize", str(tmp_path / "more/pictures"), str(packed)]) == 0
    folder = ImageFolderDataModule(str(tmp_path / ("pictures" if has_val else "more/pictures")), **OPTIONS)
    folder.setup("fit")
    data = opened(packed)
    assert data.class_names == ["cat", "dog", "eel"]
    for split in ("train", "val"):
        here, there = pixels(data, split), pixels(folder, split)
        assert here.keys() == there.keys()  # the same pictures validate
        assert all(torch.equal(here[name], there[name]) for name in here)
    few = opened(packed, classes=["eel", "cat"])
    assert few.class_names == ["eel", "cat"]
    for _, targets, rows in few.train_dataloader():
        assert [few.class_names[label] for label in targets] == [
            name.split("/")[1] for name in few.picture_names(rows, "train")
        ]


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_order_is_a_matter_of_seed_and_lanes(lanes: int) -> None:
    shards = torch.arange(25).repeat_interleave(torch.arange(25) % 7 + 6)
    sizes = [16] * (len(shards) // 16) + [len(shards) % 16]
    order = shard_order(shards, 5, sizes, lanes)
    assert torch.equal(order.sort().values, torch.arange(len(shards)))
    assert torch.equal(order, shard_order(shards, 5, sizes, lanes))
    assert not torch.equal(order, shard_order(shards, 6, sizes, lanes))
    parts = [torch.tensor_split(batch, lanes) for batch in torch.split(order, sizes)]
    touched = []
    for lane in range(lanes):
        seen = shards[torch.cat([part[lane] for part in parts])].tolist()
        spans = {shard: (seen.index(shard), len(seen) - seen[::-1].index(shard)) for shard in seen}
        open_at = [sum(begin <= place < end for begin, end in spans.values()) for place in range(len(seen))]
        assert max(open_at) == WINDOW  # never more, and mixed as far as that allows
        touched.append(set(seen))
    for lane, mine in enumerate(touched):
        assert all(len(mine & other) <= 1 for other in touched[lane + 1 :])  # the shard that a cut goes through
    assert sum(map(len, touched)) <= 25 + lanes - 1
    assert len(shard_order(shards, 5, sizes[:-1], lanes)) == sum(sizes[:-1])  # drop_last


def test_two_processes_fetch_different_shards(packed: Path, tmp_path: Path) -> None:
    progress = SimpleNamespace(current=SimpleNamespace(processed=0, started=0))
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    loop = SimpleNamespace(epoch_progress=progress)
    fetched, seen = [], list[int]()
    for process in range(2):
        torch.manual_seed(0)
        data = opened(f"local:{packed}", cache_dir=str(tmp_path / f"cache_{process}"))
        trainer = SimpleNamespace(world_size=2, global_rank=process, strategy=strategy, fit_loop=loop)
        data.trainer = trainer  # type: ignore[assignment]
        seen += [row for batch in data.train_dataloader() for row in batch.indices.tolist()]
        fetched.append({path.name for path in (tmp_path / f"cache_{process}").glob("*/train/*.bin")})
    assert fetched[0] | fetched[1] == {path.name for path in (packed / "train").glob("*.bin")}
    assert sorted(seen) == list(range(24))
    assert len(fetched[0] & fetched[1]) <= 1
    assert min(map(len, fetched)) >= 3


def test_workers_change_nothing(packed: Path) -> None:
    def batches(root: str, num_workers: int) -> list[Any]:
        torch.manual_seed(0)
        augment = Augment(flip=True, resized_crop_area=0.3)
        cache = str(packed.parent / f"cache_{num_workers}")
        data = opened(root, num_workers=num_workers, augment=augment, cache_dir=cache)
        return list(data.train_dataloader())

    for here, there in zip(batches(str(packed), 0), batches(f"local:{packed}", 2), strict=True):
        assert all(torch.equal(one, other) for one, other in zip(here, there, strict=True))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The dirpath has changed")  # of the callback that keeps every step
def test_a_run_streams_and_its_resume_is_exact(tlearn: Tlearn, packed: Path, tmp_path: Path) -> None:
    (tmp_path / "far.yaml").write_text(
        CONFIG.replace("ImageFolder", "Streaming").replace(
            "root: pictures", f"root: 'local:{packed}', max_cache_gb: 0.0003"
        )
    )
    words = ["fit", "-c", "far.yaml", "--data.augment.flip", "true"]
    assert tlearn(*words, *EVERY_STEP).code == 0
    run = tmp_path / "runs/far/version_7"
    (run / "checkpoints").mkdir(parents=True)
    step = tmp_path / "runs/far/version_0/checkpoints/step=2.ckpt"  # of three in the first epoch
    step.rename(run / "checkpoints/last.ckpt")
    answer = tlearn("fit", "--ckpt_path", str(run))
    assert answer.code == 0, answer.err
    assert "epoch 2/2" in answer.out
    assert_same(last(tmp_path, 0, run="far"), last(tmp_path, 7, run="far"))
    kept = list((tmp_path / ".cache/tlearn/shards").rglob("*.bin"))
    assert 0 < sum(path.stat().st_size for path in kept) <= 300_000
    assert sum(path.stat().st_size for path in packed.rglob("*.bin")) > 400_000
    assert tlearn("test", "--ckpt_path", "runs/far/version_0").code == 0
    answer = tlearn("predict", "--ckpt_path", "runs/far/version_0", "--out", "answers.csv")
    assert answer.code == 0, answer.err
    rows = (tmp_path / "answers.csv").read_text().splitlines()
    assert [row.partition(",")[0] for row in rows[1:]] == sorted(pixels(opened(packed), "val"))


@pytest.mark.slow
def test_two_processes_train_on_shards(tlearn: Tlearn, packed: Path, tmp_path: Path) -> None:
    text = CONFIG.replace("ImageFolder", "Streaming").replace("root: pictures", f"root: 'local:{packed}'")
    (tmp_path / "two.yaml").write_text(text)
    out, err = done("fit", "-c", "two.yaml", "--data.batch_size", "6", *TWO)
    assert "epoch 2/2" in out
    assert "Warning" not in err
    assert len(list(tmp_path.glob(".cache/tlearn/shards/*/*/*.bin"))) == 9  # of training and validation, each once


def test_what_is_kept_stays_below_the_limit(packed: Path, tmp_path: Path) -> None:
    near, cache = opened(packed), tmp_path / "cache"
    far = opened(f"local:{packed}", cache_dir=str(cache), max_cache_gb=0.00025)
    stranger = cache / "a/b/mine.bin"
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(bytes(10**6))
    most = 0
    for epoch in range(2):
        for batch in torch.split(train_set(near).epoch_order(epoch, [4] * 6, 1), 4):
            assert torch.equal(train_set(far).serve(batch, 0)[0], train_set(near).serve(batch, 0)[0])
            most = max(most, sum(path.stat().st_size for path in cache.glob("*/train/*.bin")))
    assert 150_000 < most <= 250_000 < sum(path.stat().st_size for path in (packed / "train").glob("*.bin"))
    assert stranger.exists()
    assert not list(cache.rglob("*.partial"))
    for path in (*cache.glob("*/train/items.safetensors"), next(cache.glob("*/train/*.bin"))):
        path.write_bytes(path.read_bytes()[:99])  # as a crash may leave it
    again = opened(f"local:{packed}", cache_dir=str(cache), max_cache_gb=0.00025)
    assert torch.equal(train_set(again).serve(torch.arange(24), 0)[0], train_set(near).serve(torch.arange(24), 0)[0])


@pytest.fixture
def bucket(packed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Object storage at http://127.0.0.1, whose bucket is the packed folder; what is asked for is noted."""
    asked = list[str]()

    class Storage(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, form: str, *words: object) -> None:
            asked.append(str(words[0]))

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Storage, directory=str(packed.parent)))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    threading.Thread(target=server.serve_forever).start()
    yield asked
    server.shutdown()
    server.server_close()


def test_object_storage(bucket: list[str], packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = opened("s3://packed", cache_dir=str(tmp_path / "cache"))
    near = opened(packed)
    assert torch.equal(far.sample("val", 5).images, near.sample("val", 5).images)
    fetched = [words.split()[1] for words in bucket if words.startswith("GET")]
    assert len(fetched) == len(set(fetched))
    assert "/packed/tlearn.json" in fetched
    assert any(name.startswith("/packed/val/chunk-0-") for name in fetched)
    assert not any("/test/" in name for name in fetched)
    with pytest.raises(TlearnError, match=r"^cannot fetch s3://other/tlearn\.json: .*404"):
        opened("s3://other", cache_dir=str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(TlearnError, match=r"^cannot fetch s3://third/tlearn\.json: Could not connect"):
        opened("s3://third", cache_dir=str(tmp_path / "cache"))
    assert not list((tmp_path / "cache").glob(".index-*"))


def rewritten(packed: Path, change: Callable[[dict[str, Any]], object]) -> None:
    about = json.loads((packed / "tlearn.json").read_text())
    change(about)
    (packed / "tlearn.json").write_text(json.dumps(about))


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no index": (lambda root: (root / "tlearn.json").unlink(), "no tlearn.json in"),
    "no json": (lambda root: (root / "tlearn.json").write_text("{"), "is not what tlearn optimize writes"),
    "deep": (lambda root: (root / "tlearn.json").write_text("[" * 10**5), "is not what tlearn optimize writes"),
    "newer": (lambda root: rewritten(root, lambda about: about.update(version=2)), "is of version 2, expected 1"),
    "path": (
        lambda root: rewritten(root, lambda about: about["splits"]["train"]["shards"][0].update(name="../../x.bin")),
        r"is damaged \(no name of a shard: ../../x.bin\)",
    ),
    "size": (
        lambda root: rewritten(root, lambda about: about["splits"]["train"]["shards"][0].update(images=-1)),
        r"is damaged \(chunk-0-0.bin has no size\)",
    ),
    "more images": (
        lambda root: rewritten(root, lambda about: about["splits"]["train"]["shards"][0].update(images=10**15)),
        "items.safetensors is not the file that tlearn.json speaks of",
    ),
    "shorter shard": (
        lambda root: rewritten(root, lambda about: about["splits"]["train"]["shards"][0].update(size_bytes=100)),
        "items.safetensors is not the file that tlearn.json speaks of",
    ),
    "no train": (
        lambda root: rewritten(root, lambda about: about["splits"].pop("train")),
        "no train images in .*, which has val, test",
    ),
    "other items": (
        lambda root: (root / "val/items.safetensors").replace(root / "train/items.safetensors"),
        "items.safetensors is not the file that tlearn.json speaks of",
    ),
    "truncated": (
        lambda root: (root / "train/chunk-0-1.bin").write_bytes(b"x" * 10),
        r"chunk-0-1.bin: 10 bytes, expected \d+; copy it anew",
    ),
    "missing": (lambda root: (root / "val/chunk-0-0.bin").unlink(), r"chunk-0-0.bin: 0 bytes, expected \d+"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_said_before_training(fault: str, packed: Path) -> None:
    spoil, said = FAULTS[fault]
    spoil(packed)
    with pytest.raises(TlearnError, match=said):
        opened(packed)


def test_faults_of_the_far(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far, cache = f"local:{packed}", str(tmp_path / "cache")
    with pytest.raises(
        TlearnError, match=r"max_cache_gb 1e-05 holds too few of the \d train shards at a time: expected"
    ):
        opened(far, cache_dir=cache, max_cache_gb=1e-5)
    data = opened(far, cache_dir=cache)
    shard = packed / "train/chunk-0-0.bin"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(TlearnError, match=r"train/chunk-0-0.bin: not what tlearn.json speaks of"):
        train_set(data).serve(torch.arange(24), 0)
    shard.unlink()
    with pytest.raises(TlearnError, match=r"^cannot fetch local:.*train/chunk-0-0.bin: .* doesn't exist"):
        train_set(data).serve(torch.arange(24), 0)
    monkeypatch.setattr("tlearn.data.shards.fetching.find_spec", lambda name: None)
    with pytest.raises(TlearnError, match=r"^local:.* needs: pip install 'tlearn\[stream\]'"):
        opened(far)


def test_bytes_that_change_on_the_disk(packed: Path, tmp_path: Path) -> None:
    near, far = opened(packed), opened(f"local:{packed}", cache_dir=str(tmp_path / "cache"))
    wanted = train_set(far).serve(torch.arange(24), 0)[0]
    kept = list((tmp_path / "cache").rglob("train/*.bin"))
    assert kept
    for path in kept:
        path.write_bytes(b"\0" * path.stat().st_size)  # as a power cut may leave it
    assert torch.equal(train_set(far).serve(torch.arange(24), 0)[0], wanted)
    path = packed / "train/chunk-0-0.bin"
    path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(TlearnError, match=r"train/chunk-0-0.bin is gone or damaged; copy it anew, or optimize again"):
        train_set(near).serve(torch.arange(24), 0)


@pytest.mark.parametrize("root", ["http://x/y", "r2://b/f"])
def test_an_address_of_another_kind(root: str) -> None:
    with pytest.raises(
        TlearnError, match=f"no way to fetch from {root}; expected a folder, or one of s3://, gs://, hf://"
    ):
        opened(root)


@pytest.mark.parametrize("way", pickles(Path()))
def test_shards_of_a_stranger_run_nothing(way: str, packed: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    evil = pickles(made)[way]
    about = json.loads((packed / "train/index.json").read_text())
    about["config"] |= {"data_format": ["pickle"], "data_spec": evil.decode("latin-1"), "item_loader": "os.system"}
    (packed / "train/index.json").write_text(json.dumps(about))
    data = opened(packed)
    row, items = train_set(data).pictures.items.begins.argmin(), train_set(data).pictures.items
    shard, begin, size = packed / "train/chunk-0-0.bin", int(items.begins[row]), int(items.sizes[row])
    whole = shard.read_bytes()
    shard.write_bytes(whole[:begin] + evil.ljust(size, b"\0") + whole[begin + size :])
    items.digests[row] = torch.tensor(list(hashlib.blake2b(evil.ljust(size, b"\0"), digest_size=16).digest()))
    with pytest.raises(TlearnError, match=r"packed/train/chunk-0-0.bin, train/.*png: no picture format"):
        train_set(data).serve(torch.tensor([int(row)]), 0)
    (packed / "train/items.safetensors").write_bytes(evil)
    rewritten(packed, lambda about: about["splits"]["train"].update(items=digest_of(evil)))
    with pytest.raises(TlearnError, match="is not the file that"):
        opened(packed)
    (packed / "tlearn.json").write_bytes(evil)
    with pytest.raises(TlearnError, match="is not what tlearn optimize writes"):
        opened(packed)
    assert not made.exists()


def write_deep(root: Path, bands: int = 1) -> Path:
    """12 bits in 16, in three splits; one class is brighter."""
    for split, count in {"train": 6, "val": 2, "test": 2}.items():
        for name, most in {"dim": 2000, "pale": 4000}.items():
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                draws = np.random.default_rng([number, most, len(split)])
                values = draws.integers(0, most, (30, 30, bands), np.uint16)
                file = root / split / name / f"{number}.tif"
                tifffile.imwrite(file, values.squeeze(), photometric="minisblack", planarconfig="contig")
    return root


def test_the_range_is_learned_when_packing_or_from_the_first_shard(tlearn: Tlearn, tmp_path: Path) -> None:
    root = write_deep(tmp_path / "pictures")
    assert tlearn("optimize", str(root), "packed").code == 0
    index = tmp_path / "packed/tlearn.json"
    about = json.loads(index.read_text())
    assert (about["version"], about["reading"]["ranges"]) == (1, {"uint16": [0, 4095]})
    folder = ImageFolderDataModule(str(root), **OPTIONS)
    folder.setup("fit")
    here = pixels(opened("packed"), "val")
    assert opened("packed").framing.reading.ranges == {"uint16": (0, 4095)}
    assert here.keys() == pixels(folder, "val").keys()
    assert all(torch.equal(here[name], image) for name, image in pixels(folder, "val").items())
    del about["reading"]  # as a folder of before
    index.write_text(json.dumps(about))
    assert opened("packed").framing.reading.ranges == {"uint16": (0, 4095)}
    assert opened("packed", "validate").framing.reading.ranges == {"uint16": (0, 4095)}
    for damaged in ({"uint16": [5, 5]}, {"uint16": ["a", "b"]}, {"nonsense": [0, 1]}, [1]):
        index.write_text(json.dumps(about | {"reading": {"ranges": damaged}}))
        with pytest.raises(TlearnError, match=r"tlearn.json is damaged \("):
            opened("packed")


def test_bands_in_shards_are_chosen_or_named(tlearn: Tlearn, tmp_path: Path) -> None:
    root = write_deep(tmp_path / "pictures", bands=5)
    refused = tlearn("optimize", str(root), "packed")
    assert refused.code == 2
    assert "TIFF with 5 bands of 16 bits: choose what becomes red, green and blue" in refused.err
    answer = tlearn("optimize", str(root), "packed", "--data.init_args.channels", "[3, 2, 1]")
    assert answer.code == 0, answer.err
    chosen = opened("packed", channels=[3, 2, 1])
    folder = ImageFolderDataModule(str(root), channels=[3, 2, 1], **OPTIONS)
    folder.setup("fit")
    here = pixels(chosen, "val")
    assert all(torch.equal(here[name], image) for name, image in pixels(folder, "val").items())
    assert chosen.framing.reading.ranges == {"uint16": (0, 4095)}
    with pytest.raises(
        TlearnError, match=r"packed/train/chunk-0-0.bin, .*\.tif: TIFF with 5 bands of 16 bits: choose what .* [0-9]$"
    ):
        opened("packed")
