"""What becomes black and white in files of more than 8 bits: learned from the training pictures, and said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import CONFIG, picture, write_splits
from tests.helpers.runs import last
from tests.helpers.two_processes import TWO, done
from tlearn.data.decoding.intensity import learned_ranges, quantiles_of
from tlearn.data.decoding.reading_options import reading_in
from tlearn.data.decoding.samples import Samples
from tlearn.data.files.reading import Framing, read_image
from tlearn.data.sources.folder import ImageFolderDataModule

FIT = ("fit", "--config", "folder.yaml", "--trainer.max_epochs", "1")


def deep(name: str, number: int, bits: int = 12) -> np.ndarray[Any, Any]:
    """The red of a picture in so many bits: cats use all of them, dogs the lower part."""
    red = np.asarray(picture(name, number))[:, :, 0].astype(np.uint16)
    red[0, :2] = 0, 255
    return (red << (bits - 8)) + (red >> (16 - bits))


def write_deep(root: Path, kind: str = "tif", **splits: int) -> Path:
    """Write pictures of 12 bits in 16: ``root/<split>/<cat or dog>/000.tif``."""
    for split, count in (splits or {"train": 6, "val": 4, "test": 4}).items():
        start = {"train": 0, "val": 500, "test": 700}[split]
        for name in ("cat", "dog"):
            place = root / split / name
            place.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                Image.fromarray(deep(name, start + number)).save(place / f"{number:03d}.{kind}")
    return root


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.yaml").write_text(CONFIG)
    return write_deep(tmp_path / "pictures")


def batch(root: Path, split: str = "train", **options: Any) -> torch.Tensor:
    data = ImageFolderDataModule(str(root), size_px=64, crop_pct=1, **options)
    data.setup("test" if split == "test" else "fit")
    images = data.dataset(split)  # type: ignore[arg-type]  # a literal
    return images.serve(images.indices, 0)[0]


def test_twelve_bits_in_sixteen_are_learned_said_and_kept(tlearn: Tlearn, root: Path) -> None:
    answer = tlearn(*FIT)
    assert answer.code == 0, answer.err
    told = [line for line in answer.err.splitlines() if "becomes black" in line]
    assert told == [
        "train: 12 files of uint16 hold 12 bits (0 to 4,095): 0 becomes black and 4,095 white, in all pictures "
        "(data.init_args.intensity auto)"
    ]
    assert last(Path(), run="folder")["tlearn"]["pictures"]["reading"]["ranges"] == {"uint16": [0, 4095]}
    assert json.loads(Path("runs/folder/version_0/split.json").read_text())["ranges"] == {"uint16": [0, 4095]}


def test_the_card_says_what_was_learned(tlearn: Tlearn, root: Path) -> None:
    assert tlearn(*FIT).code == 0
    place = Path("runs/folder/version_0")
    assert json.loads((place / "card.json").read_text())["data"]["ranges"] == {"uint16": [0, 4095]}
    told = "Black to white, learned from the training pictures: uint16 0 to 4,095."
    assert told in (place / "card.md").read_text()
    page = (place / "report.html").read_text()
    assert "<dt><bdi>Black to white, learned</bdi></dt> <dd><bdi>uint16 0 to 4,095</bdi></dd>" in page


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_every_split_is_read_with_the_range_of_the_training_pictures(root: Path, split: str) -> None:
    start = {"train": 0, "val": 500, "test": 700}[split]
    expected = deep("cat", start) >> 4
    assert torch.equal(batch(root, split)[0], torch.from_numpy(expected.astype(np.uint8)).expand(3, 64, 64))
    assert batch(root, split, intensity="type")[0].max() == 15


def test_validation_alone_is_read_with_the_range_of_the_training_pictures(root: Path) -> None:
    data = ImageFolderDataModule(str(root), size_px=64, crop_pct=1)
    data.setup("validate")
    assert data.framing.reading.ranges == {"uint16": (0, 4095)}
    images = data.dataset("val")
    assert images.serve(images.indices, 0)[0].max() == 255
    data = ImageFolderDataModule(str(root), size_px=64, crop_pct=1, val_fraction=0)
    assert data.validates  # which opens it before the training pictures
    data.setup("fit")
    images = data.dataset("val")
    assert images.serve(images.indices, 0)[0].max() == 255


def test_a_validation_split_off_is_part_of_what_teaches_the_range(root: Path) -> None:
    bright = np.full((64, 64), 30_000, np.uint16)
    bright[:32] = 2_000
    Image.fromarray(bright).save(root / "train" / "cat" / "bright.tif")
    data = ImageFolderDataModule(str(write_deep(root.parent / "alone", train=8)), val_fraction=0.25, size_px=64)
    data.setup("fit")
    assert data.framing.reading.ranges == {"uint16": (0, 4095)}
    data = ImageFolderDataModule(str(root), size_px=64, train_per_class=2)
    data.setup("fit")
    assert data.framing.reading.ranges == {"uint16": (0, 32767)}  # of all files of `train`, also of those not used


INTENSITIES = {
    "[0, 4095]": 4095 >> 4,
    "[0, 8191]": 4095 >> 5,
    "type": 15,
    "percentile": 255,
    "auto": 255,
}


@pytest.mark.parametrize(("intensity", "brightest"), INTENSITIES.items())
def test_intensity_is_typed_on_the_command_line_and_in_yaml(
    tlearn: Tlearn, root: Path, intensity: str, brightest: int
) -> None:
    typed = tlearn(*FIT, "--data.init_args.intensity", intensity)
    assert typed.code == 0, typed.err
    Path("more.yaml").write_text(f"data: {{init_args: {{intensity: {intensity}}}}}")
    written = tlearn(*FIT, "--config", "more.yaml")
    assert written.code == 0, written.err
    files = sorted(Path("runs").glob("*/version_*/checkpoints/last.ckpt"))
    one, other = (torch.load(path, weights_only=True)["tlearn"]["pictures"] for path in files)
    assert one == other
    reading = reading_in(one["reading"])
    assert read_image(root / "train/cat/000.tif", Framing(64, "center", 1, reading)).max() == brightest
    assert ("becomes black" in typed.err) == (intensity == "auto")


@pytest.mark.parametrize(
    ("intensity", "told"),
    {
        "[5, 5]": "data.init_args.intensity: a range from 5 to 5 is empty; give [low, high]",
        "bright": "data.init_args.intensity",
        "[1, 2, 3]": "data.init_args.intensity",
    }.items(),
)
def test_an_intensity_that_means_nothing_is_refused(tlearn: Tlearn, root: Path, intensity: str, told: str) -> None:
    answer = tlearn(*FIT, "--data.init_args.intensity", intensity)
    assert answer.code == 2
    assert told in answer.err.splitlines()[-1]


def test_the_range_holds_where_the_training_pictures_are_gone(tlearn: Tlearn, root: Path) -> None:
    assert tlearn(*FIT).code == 0
    answer = tlearn("test", "--ckpt_path", "runs/folder/version_0")
    here = answer.out
    shutil.rmtree(root / "train")
    shutil.rmtree(root / "val")
    assert tlearn("test", "--ckpt_path", "runs/folder/version_0").out == here
    assert "loss" in answer.result
    assert tlearn("predict", "--ckpt_path", "runs/folder/version_0", "--data", "pictures/test").code == 0
    dark = tlearn("test", "--ckpt_path", "runs/folder/version_0", "--data.init_args.intensity", "type").out
    assert dark != here


def test_a_resumed_run_keeps_the_range(tlearn: Tlearn, root: Path) -> None:
    assert tlearn(*FIT).code == 0
    answer = tlearn("fit", "--ckpt_path", "runs/folder/version_0/checkpoints/last.ckpt", "--trainer.max_epochs", "2")
    assert answer.code == 0, answer.err
    assert "becomes black" not in answer.err  # nothing is learned anew
    pictures = [
        last(Path(), version, run="folder")["tlearn"]["pictures"]
        for version in (0, 1)
        if Path(f"runs/folder/version_{version}/checkpoints/last.ckpt").exists()
    ]
    assert all(each["reading"]["ranges"] == {"uint16": [0, 4095]} for each in pictures)


def test_nothing_is_said_of_pictures_of_eight_bits(tlearn: Tlearn, tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").write_text(CONFIG)
    write_splits(tmp_path / "pictures")
    answer = tlearn(*FIT)
    assert answer.code == 0, answer.err
    assert not [word for word in ("black", "plane", "type", "bits") if word in answer.err]
    assert "ranges" not in json.loads(Path("runs/folder/version_0/split.json").read_text())


def test_pictures_of_one_number_alone_stop_the_run(tlearn: Tlearn, root: Path) -> None:
    for path in root.glob("train/*/*.tif"):
        Image.fromarray(np.full((64, 64), 105, np.uint16)).save(path)
    answer = tlearn(*FIT)
    assert answer.code == 2
    assert answer.err.splitlines()[-1] == (
        "error: 12 training pictures of uint16: all hold the number 105 alone; look at the files, or give the range: "
        "data.init_args.intensity [low, high]"
    )


def test_floats_of_nothing_measured_stop_the_run(tlearn: Tlearn, root: Path) -> None:
    for path in root.glob("train/*/*.tif"):
        Image.fromarray(np.full((64, 64), np.nan, np.float32)).save(path)
    answer = tlearn(*FIT)
    assert answer.code == 2
    assert "12 training pictures of float32: nothing is measured in them" in answer.err.splitlines()[-1]


def test_few_bright_spots_on_black_have_a_range() -> None:
    spots = np.zeros((200, 200, 1), np.uint16)
    spots[:4, :5] = 3000
    found = learned_ranges({"uint16": quantiles_of(Samples(spots, 16))[None]})["uint16"]  # type: ignore[index]
    assert found.percentiles == (0, 1)
    assert found.limits == (0, 4095)


def test_classes_of_unlike_types_are_named(tlearn: Tlearn, root: Path) -> None:
    for path in root.glob("*/dog/*.tif"):
        picture("dog", int(path.stem)).convert("L").save(path)
    answer = tlearn(*FIT)
    assert answer.code == 0, answer.err
    told = "the files' type tells the class (uint16: cat, uint8: dog): the network may learn the camera, not the class"
    assert told in answer.err
    assert "unlike types" not in answer.err.replace("val: files of unlike types", "")


def test_mixed_types_are_named(tlearn: Tlearn, root: Path) -> None:
    for path in root.glob("train/*/00[0-2].tif"):
        picture("dog", int(path.stem)).convert("L").save(path)
    answer = tlearn(*FIT)
    assert answer.code == 0, answer.err
    assert (
        "train: files of unlike types (uint8 6, uint16 6), each with its own black and white; save all alike"
        in answer.err
    )


def test_validation_pictures_of_another_type_are_named(tlearn: Tlearn, root: Path) -> None:
    for path in root.glob("val/*/*.tif"):
        picture("dog", 500 + int(path.stem)).convert("L").save(path)
    answer = tlearn(*FIT)
    assert answer.code == 0, answer.err
    told = "val: 8 files of uint8, which no training picture is: black to white is 0 to 255; the training pictures: "
    assert f"{told}uint16 0 to 4,095" in answer.err


def test_validation_floats_without_a_range_stop_the_run(tlearn: Tlearn, root: Path) -> None:
    for path in root.glob("val/*/*.tif"):
        Image.fromarray(np.random.default_rng(int(path.stem)).random((64, 64), np.float32)).save(path)
    answer = tlearn(*FIT)
    assert answer.code == 2
    told = answer.err.splitlines()[-1]
    assert told.startswith(
        "error: 8 of 8 val pictures cannot be read: float32 has no range of its own, and no training"
    )
    assert told.endswith("and 7 more)")  # leaving all out is no way


def test_stacks_are_named_in_one_line(tlearn: Tlearn, root: Path) -> None:
    for path in root.glob("train/*/*.tif"):
        planes = [Image.fromarray(deep("cat", int(path.stem)) // (1 + plane)) for plane in range(9)]
        planes[0].save(path, save_all=True, append_images=planes[1:])
    answer = tlearn(*FIT)
    assert answer.code == 0, answer.err
    way = "data.init_args.page middle, max, mean or a number"
    assert f"train: 12 files have 9 planes each; the first is read: {way}" in answer.err
    assert "val: " not in "".join(line for line in answer.err.splitlines() if "planes" in line)
    answer = tlearn(*FIT, "--data.init_args.page", "middle")
    assert "train: 12 files have 9 planes each; the middle one is read: data.init_args.page middle" in answer.err
    answer = tlearn(*FIT, "--data.init_args.page", "12")
    assert answer.code == 2
    assert "12 of 12 train pictures cannot be read: no plane 12 of data.init_args.page, it has 9" in answer.err


def test_frames_of_animations_are_named(tlearn: Tlearn, root: Path) -> None:
    for number, path in enumerate(root.glob("train/*/00[0-2].tif")):
        frames = [picture("cat", number + 10 * frame) for frame in range(3)]
        frames[0].save(path.with_suffix(".gif"), save_all=True, append_images=frames[1:])
        path.unlink()
    answer = tlearn(*FIT)
    assert "train: 6 of 12 files have 3 frames each; the first is read" in answer.err


def test_a_reason_that_all_share_is_said_once(tlearn: Tlearn, root: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    values = np.random.default_rng(0).integers(0, 4096, (64, 64, 5), np.uint16)
    for path in root.glob("train/*/*.tif"):
        tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig")
    answer = tlearn(*FIT)
    assert answer.code == 2
    told = answer.err.splitlines()[-1]
    assert told.startswith("error: 12 of 12 train pictures cannot be read: TIFF with 5 bands of 16 bits")
    assert told.count("5 bands") == 1


def test_skipped_pictures_are_counted_with_the_reason(tlearn: Tlearn, root: Path) -> None:
    for path in root.glob("train/*/000.tif"):
        path.write_bytes(path.read_bytes()[:1000])
    answer = tlearn(*FIT, "--data.init_args.on_error", "skip")
    assert answer.code == 0, answer.err
    assert "skipped 2 that cannot be read (truncated 2)" in answer.err


@pytest.mark.slow
def test_two_processes_learn_the_same(root: Path) -> None:
    _, err = done("fit", "--config", "folder.yaml", "--trainer.max_epochs", "1", *TWO)
    assert last(Path(), run="folder")["tlearn"]["pictures"]["reading"]["ranges"] == {"uint16": [0, 4095]}
    assert err.count("0 becomes black and 4,095 white") == 1  # once, by the first process


@pytest.mark.parametrize("verb", ["probe", "advise", "plan"])
def test_verbs_that_look_before_training_learn_it(tlearn: Tlearn, root: Path, verb: str) -> None:
    answer = tlearn(verb, "--config", "folder.yaml")
    assert answer.code == 0, answer.err
    assert "0 becomes black and 4,095 white" in answer.err


def test_compared_configs_learn_the_same(tlearn: Tlearn, root: Path) -> None:
    Path("dark.yaml").write_text(CONFIG.replace("{root: pictures", "{root: pictures, intensity: type"))
    answer = tlearn("compare", "folder.yaml", "dark.yaml", "--seeds", "1", "--trainer.max_epochs", "1")
    assert answer.code == 0, answer.err
    files = sorted(Path("runs").rglob("best.ckpt"))
    read = [torch.load(path, weights_only=True)["tlearn"]["pictures"]["reading"] for path in files]
    assert sorted((each["intensity"], str(each["ranges"])) for each in read) == [
        ("auto", "{'uint16': [0, 4095]}"),
        ("type", "{}"),
    ]


def test_validate_and_predict_read_as_the_run_did(tlearn: Tlearn, root: Path) -> None:
    fitted = tlearn(*FIT)
    assert fitted.code == 0
    validated = tlearn("validate", "--ckpt_path", "runs/folder/version_0")
    assert "becomes black" not in validated.err  # it is known
    card = json.loads(Path("runs/folder/version_0/card.json").read_text())
    assert validated.result["loss"] == f"{card['best']['metrics']['val/loss']:.4f}"
    predict = ("predict", "--ckpt_path", "runs/folder/version_0", "--data", "pictures/val", "--out")
    assert tlearn(*predict, "a.csv").code == 0
    for path in root.glob("train/*/*.tif"):
        path.unlink()
    assert tlearn(*predict, "b.csv").code == 0
    assert Path("a.csv").read_text() == Path("b.csv").read_text()


def test_a_given_range_that_leaves_out_much_is_said(tlearn: Tlearn, root: Path) -> None:
    answer = tlearn(*FIT, "--data.init_args.intensity", "[100000, 200000]")
    assert answer.code == 0, answer.err
    assert (
        "train: 100 % of the numbers of uint16 lie outside 100,000 to 200,000, and become black or white "
        "(data.init_args.intensity)"
    ) in answer.err
    assert "lie outside" not in tlearn(*FIT, "--data.init_args.intensity", "[0, 4095]").err
