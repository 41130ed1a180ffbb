"""A network trained on 12 bits in 16 answers for deep files and images by the range that it learned."""

from __future__ import annotations

import csv
import json
import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image

import tlearn as package
from tests.conftest import Tlearn, no_pictures
from tests.helpers.fake_pictures import CONFIG
from tests.helpers.two_processes import TWO, done
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.files.reading import Framing, read_and_remark, read_image
from tlearn.deploy.check import examples_from_folders
from tlearn.deploy.loading import framing_of, load_module
from tlearn.deploy.state_file import rebuild
from tlearn.models.about import KEY

SHADES = {"dark": 500, "grey": 1800, "pale": 3300}
BEST = "runs/folder/version_0/checkpoints/best.ckpt"

pytestmark = pytest.mark.xdist_group("deep")  # one run


def counts(name: str, number: int, times: int = 1) -> NDArray[np.uint16]:
    """What a camera of 12 bits counts: the class's shade, with noise."""
    draws = np.random.default_rng([number, SHADES[name]]).normal(SHADES[name], 250, (40, 44))
    return (draws.clip(0, 4095) * times).astype(np.uint16)


def write(root: Path, count: int, start: int) -> None:
    for name in SHADES:
        (root / name).mkdir(parents=True)
        for number in range(start, start + count):
            tifffile.imwrite(root / name / f"{number}.tif", counts(name, number))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deep")
    write(folder / "pictures/train", 10, 0)
    write(folder / "pictures/val", 4, 100)
    (folder / "folder.yaml").write_text(CONFIG)
    torch.set_num_threads(1)
    with chdir(folder), no_pictures():
        assert package.main(["fit", "--config", "folder.yaml", "--trainer.max_epochs", "5"]) == 0
    return folder


@pytest.fixture
def run(trained: Path, tlearn: Tlearn, tmp_path: Path) -> str:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return BEST


def write_unlike(folder: Path) -> None:
    """Five pictures: two as the camera makes them, one of sixteen bits, one of eight, one broken."""
    folder.mkdir()
    tifffile.imwrite(folder / "0_pale.tif", counts("pale", 200))
    tifffile.imwrite(folder / "1_wide.tif", counts("grey", 201, 16))
    Image.fromarray((counts("grey", 202) >> 4).astype(np.uint8)).save(folder / "2_eight.png")
    (folder / "3_broken.tif").write_bytes(b"no picture")
    tifffile.imwrite(folder / "4_dark.tif", counts("dark", 203))


WIDE = "100 % of its numbers lie outside 0 to 4,095, the range of the training pictures"
EIGHT = "uint8, the training pictures are uint16: 0 to 255 is black to white"


def rows_of(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_checkpoint_keeps_the_range(run: str) -> None:
    reading = framing_of(load_module(run)).reading
    assert (reading.intensity, reading.ranges) == ("auto", {"uint16": (0, 4095)})


@pytest.mark.parametrize("words", [[], ["--data.num_workers", "2", "--data.batch_size", "2"]])
def test_pictures_unlike_the_training_pictures_are_said(words: list[str], run: str, tlearn: Tlearn) -> None:
    write_unlike(Path("photos"))
    answer = tlearn("predict", "--ckpt_path", run, "--data", "photos", "--out", "p.csv", *words)
    assert answer.code == 0, answer.err
    assert answer.out == "predictions: p.csv: 5 rows, 1 of them unreadable (see the column error)\n"
    (line,) = (line for line in answer.err.splitlines() if "are unlike" in line)
    assert line.removeprefix("warning: ") == (
        f"2 of 5 pictures are unlike the training pictures: photos/1_wide.tif ({WIDE}), photos/2_eight.png ({EIGHT}); "
        "see the column remark"
    )
    rows = rows_of("p.csv")
    assert list(rows[0])[-2:] == ["error", "remark"]
    assert [row["remark"] for row in rows] == ["", WIDE, EIGHT, "", ""]
    assert [row["path"] for row in rows] == sorted(map(str, Path("photos").iterdir()))
    assert [row["class"] for row in rows] == ["pale", "pale", "grey", "", "dark"]  # times 16 all is white
    assert list(Path().glob("*p.csv*")) == [Path("p.csv")]  # nothing else is left


def test_a_remark_that_all_have_is_said_once(run: str, tlearn: Tlearn) -> None:
    Path("photos").mkdir()
    for number in range(5):
        Image.fromarray((counts("grey", number) >> 4).astype(np.uint8)).save(f"photos/{number}.png")
    answer = tlearn("predict", "--ckpt_path", run, "--data", "photos", "--out", "p.csv")
    assert (
        f"5 of 5 pictures are unlike the training pictures ({EIGHT}): photos/0.png, photos/1.png, photos/2.png and 2 "
        "more; see the column remark\n"
    ) in answer.err
    assert [row["remark"] for row in rows_of("p.csv")] == [EIGHT] * 5


def test_exports_are_checked_with_what_the_network_sees(run: str, tlearn: Tlearn) -> None:
    framing = framing_of(load_module(run))
    (seen,) = examples_from_folders([Path("pictures/val")], framing).to_check(12, 12)
    assert int(seen.images.max()) > 200  # not cut to the upper eight of sixteen bits
    answer = tlearn("export", "--ckpt_path", run, "--data", "pictures/val", "--out", "m.safetensors")
    assert answer.code == 0, answer.err
    assert json.loads(Path("m.json").read_text())["reading"]["numbers"]["ranges"] == {"uint16": [0, 4095]}
    assert framing_of(rebuild("m.safetensors")) == framing


def test_pictures_like_the_training_pictures_need_no_column(run: str, tlearn: Tlearn) -> None:
    answer = tlearn("predict", "--ckpt_path", run, "--data", "pictures/val", "--out", "p.csv")
    assert answer.code == 0, answer.err
    assert "are unlike" not in answer.err
    assert list(rows_of("p.csv")[0])[-1] == "error"
    assert all(row["class"] == Path(row["path"]).parts[2] for row in rows_of("p.csv"))


def test_remarks_in_parquet_and_from_python(run: str, tlearn: Tlearn) -> None:
    pytest.importorskip("pyarrow")
    write_unlike(Path("photos"))
    table = package.predict(ckpt_path=run, data="photos", out="p.parquet")
    assert (table.count, table.unreadable, table.remarked) == (5, 1, 2)
    assert list(table.columns)[-1] == "remark"
    assert [row["remark"] for row in table.rows] == [None, WIDE, EIGHT, None, None]
    assert table.rows[3]["error"] == "no picture format"
    again = package.predict(ckpt_path=run, data="photos", out="p.csv")
    assert [row["remark"] for row in again.rows] == [None, WIDE, EIGHT, None, None]
    good = [f"photos/{name}" for name in ("0_pale.tif", "1_wide.tif", "2_eight.png", "4_dark.tif")]
    with Image.open(good[1]) as opened:
        answers = package.load(run).predict([*good, opened, Image.fromarray(counts("grey", 1, 16))])
    assert [answer.remark for answer in answers] == ["", WIDE, EIGHT, "", WIDE, WIDE]


@pytest.mark.slow
def test_two_processes_say_what_one_says(run: str, tlearn: Tlearn) -> None:
    write_unlike(Path("photos"))
    asked = ("predict", "--ckpt_path", run, "--data", "photos", "--data.batch_size", "2")
    assert tlearn(*asked, "--out", "one.csv").code == 0
    _, err = done(*asked, "--out", "two.csv", *TWO)
    assert err.count("2 of 5 pictures are unlike the training pictures") == 1
    assert Path("two.csv").read_bytes() == Path("one.csv").read_bytes()


def test_no_remark_where_nothing_was_learned(tmp_path: Path) -> None:
    write_unlike(tmp_path / "photos")
    for reading in (Reading("type"), Reading((1000, 1100)), Reading("percentile"), Reading(ranges=None)):
        framing = Framing(16, reading=reading)
        assert read_and_remark(tmp_path / "photos/1_wide.tif", framing)[1] == ""
    eight = Framing(16, reading=Reading(ranges={}))
    assert read_and_remark(tmp_path / "photos/2_eight.png", eight)[1] == ""
    assert read_and_remark(tmp_path / "photos/1_wide.tif", eight)[1] == (
        "uint16, the training pictures are uint8: 0 to 65,535 is black to white"
    )


LEARNED = Reading(ranges={"uint16": (0, 4095), "int16": (-1000, 3000), "float32": (0.0, 1.0)}, page="middle")


def write_modes(folder: Path) -> dict[str, Path]:
    """Files whose numbers Pillow has as I;16, I and F, and as planes."""
    values, paths = counts("grey", 7), dict[str, Path]()
    arrays: dict[str, NDArray[Any]] = {
        "I;16": values,
        "I": values.astype(np.int16) - 900,
        "F": (values / 4095).astype(np.float32),
        "planes": np.stack([values // 3, values, values // 2]),
    }
    for name, array in arrays.items():
        paths[name] = folder / f"{name.replace(';', '')}.tif"
        tifffile.imwrite(paths[name], array, photometric="minisblack", metadata=None)
    paths["white is zero"] = folder / "white.tif"
    tifffile.imwrite(paths["white is zero"], 4095 - values, photometric="miniswhite", metadata=None)
    paths["PNG"] = folder / "grey.png"
    Image.fromarray(values).save(paths["PNG"])
    paths["PGM"] = folder / "grey.pgm"
    paths["PGM"].write_bytes(b"P5 44 40 65535\n" + values.astype(">u2").tobytes())
    return paths


def test_an_image_has_the_pixels_of_its_path(tmp_path: Path) -> None:
    framing = Framing(16, reading=LEARNED)
    for name, path in write_modes(tmp_path).items():
        wanted = read_image(path, framing)
        assert int(wanted.max()) - int(wanted.min()) > 10, name
        with Image.open(path) as image:
            assert torch.equal(read_and_remark(image, framing)[0], wanted), name
            if name == "planes":
                continue  # in memory there is one of them
            image.load()
            assert torch.equal(read_and_remark(image, framing)[0], wanted), f"{name}, loaded"
            assert torch.equal(read_and_remark(image.copy(), framing)[0], wanted) or name in ("I", "white is zero")


def test_the_frame_that_is_sought_is_the_frame_that_is_read(tmp_path: Path) -> None:
    framing, path = Framing(16, reading=LEARNED), write_modes(tmp_path)["planes"]
    with Image.open(path) as image:
        image.seek(2)
        third = read_and_remark(image, framing)[0]
    assert torch.equal(third, read_image(path, Framing(16, reading=Reading(ranges=LEARNED.ranges, page=3))))


def test_an_image_whose_bits_are_lost_is_named(run: str, tlearn: Tlearn) -> None:
    colours = np.stack([counts("dark", 1), counts("grey", 1), counts("pale", 1)], axis=2)
    tifffile.imwrite("colour.tif", colours, photometric="rgb")
    image = Image.open("colour.tif")
    image.load()
    with pytest.raises(package.TlearnError, match=r"an image: Pillow has read 8 of its 16 bits; give its path, or"):
        package.load(run).predict([image])
    strange = Image.fromarray(np.full((9, 9), -7, np.int32))
    with pytest.raises(package.TlearnError, match=r"an image: mode I with numbers from -7 to -7, of an unknown type"):
        package.load(run).predict([strange])


def without_reading(checkpoint: str) -> None:
    """Make it one of before pictures of more than 8 bits had options."""
    content = torch.load(checkpoint, weights_only=True)
    del content[KEY]["pictures"]["reading"]
    torch.save(content, checkpoint)


def test_an_older_run_is_resumed_on_the_same_pictures(finished_run: Path, tlearn: Tlearn, tmp_path: Path) -> None:
    shutil.copytree(finished_run, tmp_path, dirs_exist_ok=True)
    without_reading("runs/folder/version_0/checkpoints/last.ckpt")
    words = ("--ckpt_path", "last", "--trainer.max_epochs", "7")
    answer = tlearn("fit", "--config", "folder.yaml", *words)
    assert answer.code == 0, answer.err
    reading = framing_of(load_module("runs/folder/version_0/checkpoints/last.ckpt")).reading
    assert (reading.intensity, reading.ranges or {}, reading.converts_colour) == ("type", {}, False)


def test_an_older_checkpoint_reads_as_before(run: str, tlearn: Tlearn) -> None:
    without_reading(run)
    path = Path("pictures/val/pale/100.tif")
    before = read_image(path, framing_of(load_module(run)))
    assert int(before.max()) <= 4095 >> 8
    for verb in ("validate", "predict"):
        answer = tlearn(verb, "--ckpt_path", run)
        assert answer.code == 0, answer.err
        assert "becomes black" not in answer.err
    answer = tlearn("predict", "--ckpt_path", run, "--data", "pictures/val", "--out", "p.csv")
    assert answer.code == 0, answer.err
    assert "are unlike" not in answer.err
    model = package.load(run)
    named = {row["path"]: row for row in rows_of("p.csv")}
    (answered,) = model.predict([path])
    assert float(named[str(path)]["probability"]) == pytest.approx(answered.probability, abs=2e-6)
    assert len({row["class"] for row in named.values()}) == 1  # nearly black, all of them
    assert json.loads(Path("runs/folder/version_0/card.json").read_text())
