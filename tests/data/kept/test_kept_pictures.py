"""Large pictures are decoded once, and what is kept of them is what decoding gives."""

from __future__ import annotations

import errno
import math
import os
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import Tlearn
from tlearn.data.files.reading import Framing, least_px_of, resized_crop_box
from tlearn.data.images.augment import Augment
from tlearn.data.images.image_set import BatchKey
from tlearn.data.kept import store
from tlearn.data.kept.store import KEY_BYTES, PixelStore
from tlearn.data.kept.worth import fraction_of_jpeg, fractions_of_crops, squares_are_worth
from tlearn.data.sources.folder import ImageFolderDataModule
from tlearn.data.sources.labelled_files import ImageFilesDataModule
from tlearn.data.sources.table import ImageTableDataModule

CONFIG = """
seed_everything: 0
trainer: {max_epochs: 3, accelerator: cpu, precision: 32-true}
model: {weights: null, tap: layer1}
data: {class_path: ImageFolderDataModule, init_args: {root: photos, size_px: 16, batch_size: 4, val_fraction: 0.25}}
"""
CROPS = ["--data.augment", "{resized_crop_area: 0.3, flip: true}"]


def photograph(number: int, size: tuple[int, int] = (640, 480)) -> Image.Image:
    """Structure at all scales, decided by the number."""
    draws = np.random.default_rng(number)
    coarse = Image.fromarray(draws.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    grain = draws.normal(0, 20, (size[1], size[0], 1))
    return Image.fromarray((np.asarray(coarse, float) + grain).clip(0, 255).astype(np.uint8))


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 16 JPEG files of 640 x 480 px, in the working folder."""
    monkeypatch.chdir(tmp_path)
    Path("photos.yaml").write_text(CONFIG)
    for number in range(16):
        folder = tmp_path / "photos" / ("cat" if number % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        photograph(number).save(folder / f"{number:02d}.jpg")
    return tmp_path / "photos"


def opened(root: Path, gb: float = 10.0, augment: Augment | None = None, size_px: int = 16) -> ImageFilesDataModule:
    data = ImageFolderDataModule(
        str(root), size_px=size_px, val_fraction=0.25, picture_cache_gb=gb, augment=augment or Augment()
    )
    data.setup("fit")
    return data


def served(data: ImageFilesDataModule, epoch: int) -> torch.Tensor:
    images = data.dataset("train").on(torch.device("cpu"), data._augmenter())
    pixels: torch.Tensor = images[BatchKey(epoch, torch.arange(len(images)))].images
    return pixels


def weights_of(name: str) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(f"runs/{name}/version_0/checkpoints/last.ckpt", weights_only=True)[
        "state_dict"
    ]
    return found


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that are decoded, as they are."""
    names: list[str] = []
    for name in ("read_image", "unframed"):
        was = getattr(sys.modules["tlearn.data.kept.files"], name)

        def noted(path: Path, *rest: object, was: object = was) -> object:
            names.append(path.name)
            return was(path, *rest)  # type: ignore[operator]

        monkeypatch.setattr(f"tlearn.data.kept.files.{name}", noted)
    return names


@pytest.mark.parametrize("augment", [None, Augment(resized_crop_area=0.3, flip=True)])
def test_every_epoch_has_the_bits_of_decoding_and_only_the_first_decodes(
    photos: Path, decoded: list[str], augment: Augment | None
) -> None:
    kept = opened(photos, augment=augment)
    for epoch in range(4):
        decoded.clear()
        assert torch.equal(served(kept, epoch), served(opened(photos, 0, augment), epoch))
        assert len(decoded) == (24 if epoch == 0 else 12)  # those of the other, which keeps none
    again = opened(photos, augment=augment)
    decoded.clear()
    assert torch.equal(served(again, 5), served(opened(photos, 0, augment), 5))
    assert len(decoded) == 12


@pytest.mark.parametrize("augment", [[], CROPS])
def test_a_run_has_the_same_bits_whatever_is_kept_and_whoever_reads(
    tlearn: Tlearn, photos: Path, augment: list[str]
) -> None:
    ways = {"off": ["--data.picture_cache_gb", "0"], "first": [], "second": [], "workers": ["--data.num_workers", "2"]}
    said = {}
    for name, words in ways.items():
        (photos.parent / f"{name}.yaml").write_text(CONFIG)
        answer = tlearn("fit", "-c", f"{name}.yaml", *augment, *words)
        assert answer.code == 0, answer.err
        said[name] = answer.err
    assert ".cache" not in said["off"]
    where = ".cache/tlearn/pictures"
    size = "0.0 MB" if not augment else "0.2 MB"
    assert f"train: 16 large pictures are kept as they are decoded, {size} in {where}" in said["first"]
    for name in ("second", "workers"):
        told = f"train: 16 large pictures are read as they were decoded before, from {where}"
        assert told in said[name] or augment  # the pictures that validate are not cut
    first, *others = (weights_of(name) for name in ways)
    for other in others:
        assert all(torch.equal(first[name], other[name]) for name in first)


def test_a_resumed_run_may_keep_other_pictures(tlearn: Tlearn, photos: Path) -> None:
    words = ["fit", "-c", "photos.yaml", *CROPS]
    assert tlearn(*words).code == 0
    whole = weights_of("photos")
    Path("runs").rename("whole")
    assert tlearn(*words, "--trainer.max_epochs", "1").code == 0
    answer = tlearn(*words, "--ckpt_path", "last", "--data.picture_cache_gb", "0")
    assert answer.code == 0, answer.err
    ends = sorted(Path("runs/photos").glob("version_*/checkpoints/last.ckpt"))
    resumed = torch.load(ends[-1], weights_only=True)["state_dict"]
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.fault("A picture that is replaced between two epochs, or two runs", "decoded as it is then")
@pytest.mark.parametrize("augment", [None, Augment(resized_crop_area=0.3)])
def test_a_replaced_file_is_noticed(photos: Path, augment: Augment | None) -> None:
    data, off = opened(photos, augment=augment), opened(photos, 0, augment)
    row = int(data.dataset("train").indices[0])
    assert isinstance(data.dataset("train"), type(off.dataset("train")))
    path = data._pictures("train").path(row)
    before, about = served(data, 0), path.stat()
    photograph(99).save(path)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))  # as rsync leaves it
    changed = served(data, 0)
    assert torch.equal(changed, served(off, 0))
    assert torch.equal(changed[1:], before[1:])
    assert not torch.equal(changed[0], before[0])
    for _ in range(2):
        assert torch.equal(served(opened(photos, augment=augment), 0), changed)


@pytest.mark.parametrize(("gb", "rows"), [(3.5e-6, 4), (1e-9, 0)])
def test_without_room_the_others_are_decoded_and_a_line_says_so(
    photos: Path, said: pytest.LogCaptureFixture, decoded: list[str], gb: float, rows: int
) -> None:
    opened(photos, gb)
    where = Path(".cache/tlearn/pictures").absolute()
    assert (
        f"train: 16 large pictures would take 0.0 MB decoded, {where} has room for 0.0 MB: the others are decoded in "
        "every epoch; raise data.init_args.picture_cache_gb, or make room: tlearn cache rm"
    ) in said.text
    for epoch in range(3):
        decoded.clear()
        assert torch.equal(served(opened(photos, gb), epoch), served(opened(photos, 0), epoch))
    assert len(decoded) == 24 - rows
    assert store.used_bytes() <= gb * 1e9


@pytest.mark.fault("No room for decoded pictures", "one line; each is decoded in every epoch")
def test_a_full_disk_stops_no_run(tlearn: Tlearn, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(PixelStore, "_append", full)
    answer = tlearn("fit", "-c", "photos.yaml")
    assert answer.code == 0, answer.err
    assert answer.err.count("pictures cannot be kept ([Errno 28] No space left on device): they are decoded in") == 1


@pytest.mark.fault("Decoded pictures that are cut short, changed or half written", "decoded again, with the same bits")
@pytest.mark.parametrize(
    "harm", ["pixels cut", "pixels changed", "pixels lost", "rows cut", "rows changed", "about.json lost"]
)
def test_damage_is_decoded_anew(photos: Path, harm: str) -> None:
    off = served(opened(photos, 0), 0)
    assert torch.equal(served(opened(photos), 0), off)
    (folder,) = Path(".cache/tlearn/pictures").glob("*/")
    what, how = harm.split()
    path = folder / what
    data = bytearray(path.read_bytes())
    if how == "lost":
        path.unlink()
    else:
        data[-5] ^= 255
        path.write_bytes(data[:-9] if how == "cut" else data)
    for _ in range(3):
        assert torch.equal(served(opened(photos), 0), off)


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="asks how large the memory is")
def test_more_than_the_memory_holds_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(store, "_WINDOW_BYTES", 2**16)
    before, after = (PixelStore({"test": 1}, 10**15) for _ in range(2))
    for number in range(9):  # some of them in two windows
        assert before.put(number.to_bytes(KEY_BYTES, "big"), np.full((3, 99, 101), number, np.uint8))
    os.truncate(next(store.PLACE.glob("*/pixels")), 4 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for number in [4, *range(9)]:
        found = after.get(number.to_bytes(KEY_BYTES, "big"))
        assert found is not None
        assert (found == number).all()


def test_a_place_that_cannot_be_made_stops_no_run(tlearn: Tlearn, photos: Path) -> None:
    Path(".cache/tlearn").mkdir(parents=True)
    Path(".cache/tlearn/pictures").touch()
    answer = tlearn("fit", "-c", "photos.yaml")
    assert answer.code == 0, answer.err
    assert answer.err.count("pictures cannot be kept ([Errno 17] File exists: '.cache/tlearn/pictures')") == 1


def test_room_that_another_split_took_is_said(photos: Path, said: pytest.LogCaptureFixture) -> None:
    for number in range(16):
        folder = photos / "train" / ("cat" if number % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        (photos / folder.name / f"{number:02d}.jpg").rename(folder / f"{number:02d}.jpg")
    for name in ("cat", "dog"):
        (photos / name).rmdir()
        (photos / "val" / name).mkdir(parents=True)
        for number in range(4):
            photograph(50 + number).save(photos / "val" / name / f"{name}{number}.jpg")
    data = ImageFolderDataModule(str(photos), size_px=16, picture_cache_gb=17 * 768 / 1e9)  # 16 and 8 squares
    data.setup("fit")
    assert "no more room" not in said.text
    for split in ("train", "val"):
        images = data.dataset(split).on(torch.device("cpu"), None)
        for epoch in range(2):
            images[BatchKey(epoch, torch.arange(len(images)))]
    assert said.text.count("has no more room: the others are decoded in every epoch; raise data.init_args.p") == 1


ADDS = """
import sys, numpy as np
from tlearn.data.kept.store import PixelStore
pictures = PixelStore({"test": 1}, 10**9)
print("ready", flush=True)
for number in range(int(sys.argv[1])):
    pictures.put(number.to_bytes(24, "big"), np.full((3, 100, 100 + number % 7), number % 251, np.uint8))
"""


def adder(count: int) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", ADDS, str(count)], stdout=subprocess.PIPE, text=True, env=environment
    )


def assert_sound(count: int) -> int:
    """Assert that what is there is right, and count it."""
    pictures, there = PixelStore({"test": 1}, 10**9), 0
    for number in range(count):
        found = pictures.get(number.to_bytes(KEY_BYTES, "big"))
        if found is not None:
            there += 1
            assert found.shape == (3, 100, 100 + number % 7)
            assert (found == number % 251).all()
    return there


def test_two_processes_add_the_same_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with adder(200) as one, adder(200) as other:
        assert (one.wait(60), other.wait(60)) == (0, 0)
    assert assert_sound(200) == 200
    (entry,) = store.entries()
    assert entry.shape == (200,)  # none twice
    assert store.used_bytes() == sum(3 * 100 * (100 + number % 7) for number in range(200))


@pytest.mark.fault("A process dies while it adds a decoded picture", "those before are there; the next one goes on")
def test_a_killed_process_leaves_nothing_half_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for pause_s in (0.02, 0.1, 0.2):
        with adder(5000) as killed:
            assert killed.stdout is not None
            killed.stdout.readline()
            time.sleep(pause_s)
            killed.send_signal(signal.SIGKILL)
        assert_sound(5000)
    assert assert_sound(5000) > 0
    pictures = PixelStore({"test": 1}, 10**9)
    assert pictures.put((9999).to_bytes(KEY_BYTES, "big"), np.zeros((3, 2, 2), np.uint8))
    assert pictures.get((9999).to_bytes(KEY_BYTES, "big")) is not None


def test_an_entry_that_is_removed_in_a_run_begins_anew(photos: Path) -> None:
    data, off = opened(photos), served(opened(photos, 0), 0)
    for _ in range(3):
        assert torch.equal(served(data, 0), off)
        for entry in store.entries():
            store.remove(entry.name)
    assert torch.equal(served(opened(photos), 0), off)
    assert store.entries()[0].shape == (12,)


def test_the_cache_lists_and_removes_pictures(tlearn: Tlearn, photos: Path) -> None:
    served(opened(photos, augment=Augment(resized_crop_area=0.3)), 0)
    served(opened(photos), 0)
    listed = tlearn("cache", "ls").out
    assert "squares" in listed
    assert "for crops" in listed
    assert "2 entries" in listed
    assert "removed 2 entries" in tlearn("cache", "rm", "all").out
    assert "no features or pictures in" in tlearn("cache", "ls").out


@pytest.mark.parametrize("kind", ["turned", "grey", "cmyk", "alpha", "progressive", "odd", "small"])
@pytest.mark.parametrize("crops", [False, True])
def test_all_kinds_of_pictures(photos: Path, kind: str, crops: bool) -> None:
    picture, options = photograph(5, (645, 481)), dict[str, Any]()
    if kind == "turned":
        exif = Image.Exif()
        exif[274] = 6
        options["exif"] = exif
    modes = {"grey": "L", "cmyk": "CMYK", "alpha": "RGBA"}
    picture = picture.convert(modes.get(kind, "RGB"))
    picture = picture.resize((21, 18)) if kind == "small" else picture
    name = "z.png" if kind == "alpha" else "z.jpg"
    if kind == "progressive":
        options["progressive"] = True
    picture.save(photos / "cat" / name, **options)
    augment = Augment(resized_crop_area=0.3) if crops else None
    kept, off = opened(photos, augment=augment), opened(photos, 0, augment)
    for epoch in range(3):
        assert torch.equal(served(kept, epoch), served(off, epoch))


@pytest.mark.parametrize("crops", [False, True])
def test_objects_of_one_picture(photos: Path, decoded: list[str], crops: bool) -> None:
    rows = [f"cat/01.jpg,{'ab'[n % 2]},{n * 10},{n * 8},{60 + n},{50 + n}" for n in range(12)]
    Path("photos/boxes.csv").write_text("\n".join(["path,label,x,y,w,h", *rows]))

    def table(gb: float) -> ImageTableDataModule:
        augment = Augment(resized_crop_area=0.3 if crops else None)
        options: dict[str, Any] = {"size_px": 16, "val_fraction": 0.25, "picture_cache_gb": gb, "augment": augment}
        data = ImageTableDataModule("photos/boxes.csv", crop_column=["x", "y", "w", "h"], **options)
        data.setup("fit")
        return data

    for epoch in range(3):
        decoded.clear()
        assert torch.equal(served(table(10.0), epoch), served(table(0.0), epoch))
        assert len(decoded) == (16 if epoch == 0 else 8)


def test_options_that_mean_nothing_are_refused(tlearn: Tlearn, photos: Path) -> None:
    for value, shown in {"-1": "-1", ".inf": "inf"}.items():
        answer = tlearn("fit", "-c", "photos.yaml", "--data.picture_cache_gb", value)
        assert answer.code == 2
        assert f"data.init_args.picture_cache_gb: expected 0 (keeps none) or more, got {shown}" in answer.err


def test_small_pictures_are_not_kept(photos: Path, said: pytest.LogCaptureFixture) -> None:
    data = opened(photos, size_px=448)
    assert torch.equal(served(data, 0), served(data, 1))
    assert "large picture" not in said.text
    assert not store.PLACE.exists()
    assert squares_are_worth(640, 480, 277)
    assert not squares_are_worth(640, 480, 278)


@pytest.mark.parametrize("size", [(4000, 3000), (3000, 4000), (4032, 3024), (1999, 1333), (640, 480), (33, 900)])
@pytest.mark.parametrize("size_px", [16, 32, 128, 224])
def test_a_crop_is_sharper_than_what_the_network_sees(size: tuple[int, int], size_px: int) -> None:
    """The fraction is the one that Pillow chooses, and no side of a box in it is below 1.7 times that of the square."""
    draws = torch.rand(200, 4, generator=torch.Generator().manual_seed(0))
    draws[:, 0] = 0.08 + 0.92 * draws[:, 0]
    file = BytesIO()
    Image.new("RGB", size).save(file, "JPEG")
    framing = Framing(size_px)
    for draw in draws:
        least_px = least_px_of(framing, draw)
        fraction = fraction_of_jpeg(*size, least_px)
        with Image.open(file) as image:
            image.draft("RGB", (2 * least_px, 2 * least_px))
            assert image.size == (math.ceil(size[0] / fraction), math.ceil(size[1] / fraction))
        box = resized_crop_box(draw, image.size[1], image.size[0])
        if fraction > 1:
            assert min(box[2:]) >= 1.7 * size_px


def test_a_fraction_that_few_crops_need_is_not_kept() -> None:
    assert fractions_of_crops(4000, 3000, 224, 0.35) == [4]  # a hundredth of the crops needs a half
    assert fractions_of_crops(4000, 3000, 224, 0.08) == [4, 2]
    assert fractions_of_crops(4000, 3000, 128, 0.35) == [8, 4]
    assert fractions_of_crops(500, 375, 224, 0.35) == []
    assert fractions_of_crops(4000, 3000, 2000, 0.35) == []
