"""``doctor`` on files of more than 8 bits: what a microscopist needs to read before training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Answer, Tlearn
from tests.helpers.fake_pictures import CONFIG, picture, without_extras
from tlearn.data.doctor.numbers import bars

tifffile = pytest.importorskip("tifffile")  # Pillow writes no int16
RAMP = np.linspace(0, 1, 64 * 64).reshape(64, 64)


def write_cells(root: Path, highest: int = 4095, lowest: int = 0, kind: str = "uint16", train: int = 6) -> Path:
    """Write TIFF files whose numbers are evenly spread between two, ``root/<split>/<cat or dog>/000.tif``."""
    for split, count in {"train": train, "val": 3}.items():
        for name in ("cat", "dog"):
            place = root / split / name
            place.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                turned = np.roll(RAMP if name == "cat" else RAMP.T, 7 * number + (500 if split == "val" else 0))
                values = lowest + turned * (highest - lowest)
                tifffile.imwrite(place / f"{number:03d}.tif", values.astype(kind))
    return root


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "folder.yaml").write_text(CONFIG)
    return write_cells(tmp_path / "pictures")


def doctor(tlearn: Tlearn, *words: str) -> tuple[Answer, dict[str, dict[str, Any]], dict[str, Any]]:
    answer = tlearn("doctor", "--config", "folder.yaml", *words)
    content = json.loads(Path("doctor.json").read_text())
    return answer, {finding["kind"]: finding for finding in content["findings"]}, content["splits"]


def test_twelve_bits_in_sixteen(tlearn: Tlearn, root: Path) -> None:
    answer, findings, splits = doctor(tlearn)
    assert answer.code == 0, answer.err
    start = answer.out.index("train: 12 files of uint16")
    assert answer.out[start:].splitlines()[:5] == [
        "train: 12 files of uint16",
        "  numbers        0 to 4,095, 12 of 16 bits",
        "  99.8 % within  4 to 4,091",
        f"  histogram      0 [{chr(0x2588) * 40}] 4,095",
        "  reading        0 black, 4,095 white (intensity auto); 0.00 % lie outside",
    ]
    assert max(map(len, answer.out[start:].splitlines()[:10])) <= 80
    assert findings.keys() <= {"tiny_classes", "near_duplicates", "turned_duplicates", "near_duplicates_across_splits"}
    numbers = splits["train"]["numbers"]["uint16"]
    assert (numbers["files"], numbers["lowest"], numbers["highest"], numbers["bits_used"]) == (12, 0, 4095, 12)
    assert (numbers["auto"], numbers["black_to_white"], numbers["share_outside"]) == ([0, 4095], [0, 4095], 0)
    assert numbers["histogram"]["shares"] == pytest.approx([1 / 40] * 40, abs=1e-3)


def test_intensity_type_leaves_few_grey_levels(tlearn: Tlearn, root: Path) -> None:
    answer, findings, _ = doctor(tlearn, "--data.init_args.intensity", "type")
    assert findings["unused_range"]["what"] == (
        "12 files of uint16 hold 4 to 4,091: intensity type spreads 0 to 65,535, so few grey levels are left; auto "
        "would take 0 to 4,095"
    )
    assert "0 black, 65,535 white (intensity type)" in answer.out
    assert "auto would take 0 to 4,095" in answer.out


def test_a_range_that_clips(tlearn: Tlearn, root: Path) -> None:
    answer, findings, splits = doctor(tlearn, "--data.init_args.intensity", "[0, 2047]")
    assert splits["train"]["numbers"]["uint16"]["share_outside"] == pytest.approx(0.5, abs=1e-3)
    assert findings["clipped"]["what"] == "intensity 0 to 2,047 clips 50.0 % of the numbers of 12 uint16 files"
    assert "(intensity as given); 50.0" in answer.out


def test_each_picture_its_own(tlearn: Tlearn, root: Path) -> None:
    answer, _, splits = doctor(tlearn, "--data.init_args.intensity", "percentile")
    assert "each picture has its own black and white (intensity percentile)" in answer.out
    assert splits["train"]["numbers"]["uint16"]["black_to_white"] is None


def test_ct_in_hounsfield_units(tlearn: Tlearn, root: Path) -> None:
    write_cells(root, 1000, -1000, "int16")
    answer, _, splits = doctor(tlearn)
    assert "train: 12 files of int16\n  numbers        -1,000 to 1,000\n" in answer.out
    assert splits["train"]["numbers"]["int16"]["auto"] == [-998, 998]
    assert "-998 black, 998 white" in answer.out


def test_what_was_not_measured_is_counted(tlearn: Tlearn, root: Path) -> None:
    write_cells(root, 1, 0, "float32")
    for path in root.glob("train/cat/*.tif"):
        values = np.array(Image.open(path))
        values[:16] = np.nan
        Image.fromarray(values).save(path)
    answer, findings, splits = doctor(tlearn)
    assert findings["unmeasured"]["what"] == "6 files with NaN or no-data values, 25.0 % of them: left out, and black"
    assert splits["train"]["numbers"]["float32"]["unmeasured"] == pytest.approx(0.125)
    assert "  not measured   12.50 % (NaN or no data), black" in answer.out


def test_one_number_alone_is_an_error(tlearn: Tlearn, root: Path) -> None:
    for path in root.glob("train/*/*.tif"):
        Image.fromarray(np.full((64, 64), 105, np.uint16)).save(path)
    answer, findings, _ = doctor(tlearn)
    assert answer.code == 2
    assert "12 training pictures of uint16: all hold the number 105 alone" in findings["one_number"]["what"]
    assert "fit, or test, would stop" in answer.err


def test_planes_types_and_other_splits(tlearn: Tlearn, root: Path) -> None:
    for path in root.glob("train/cat/00[0-2].tif"):
        planes = [picture("cat", int(path.stem) + plane).convert("L") for plane in range(3)]
        planes[0].save(path, save_all=True, append_images=planes[1:])
    for path in root.glob("val/*/*.tif"):
        tifffile.imwrite(path, tifffile.imread(path).astype(np.int16) - 2000)
    _, findings, splits = doctor(tlearn)
    assert findings["planes"]["severity"] == "warning"
    assert findings["planes"]["files"] == [[f"train/cat/00{number}.tif"] for number in range(3)]
    assert findings["planes"]["what"].startswith("train: 3 of 12 files have 3 planes each; the first is read")
    told = "train: files of unlike types (uint16 9, uint8 3), each with its own black and white; save all alike"
    assert findings["mixed_types"]["what"] == told
    assert findings["mixed_types"]["files"] == [[f"train/cat/00{number}.tif"] for number in range(3)]
    assert findings["other_types"]["what"].startswith("val: 6 files of int16, which no training picture is")
    assert list(splits["val"]["numbers"]) == ["int16"]


def test_bits_that_tell_the_class_of_few_pictures(tlearn: Tlearn, root: Path) -> None:
    for path in root.glob("train/dog/*.tif"):
        picture("dog", int(path.stem)).convert("L").save(path)
    _, findings, _ = doctor(tlearn)
    assert findings["encoding_tells_class"]["what"] == (
        "the files' type tells the class (uint16: cat, uint8: dog): the network may learn the camera, not the class; "
        "save all alike"
    )


def test_files_of_many_bands_are_not_put_on_the_list_of_broken_ones(tlearn: Tlearn, root: Path) -> None:
    for path in root.glob("train/cat/*.tif"):
        bands = np.random.default_rng(int(path.stem)).integers(0, 4096, (64, 64, 5), np.uint16)
        tifffile.imwrite(path, bands, photometric="minisblack", planarconfig="contig")
    answer, findings, _ = doctor(tlearn, "--fix")
    assert answer.code == 2
    assert findings["unread_so"]["what"] == (
        "6 files not read as things are: TIFF with 5 bands of 16 bits: choose what becomes red, green and blue: "
        "data.init_args.channels [3, 2, 1], or train on all: model.in_channels 5"
    )
    assert "unreadable" not in findings
    assert not (root / "tlearn-exclude.json").exists()


def test_files_for_the_missing_extra_are_not_put_on_that_list(
    tlearn: Tlearn, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in root.glob("train/cat/*.tif"):
        tifffile.imwrite(path, np.random.default_rng(int(path.stem)).random((64, 64)))
    without_extras(monkeypatch)
    answer, findings, _ = doctor(tlearn, "--fix")
    assert answer.code == 2
    assert (
        "6 files not read as things are: TIFF of float64, which needs tifffile and imagecodecs"
        in (findings["unread_so"]["what"])
    )
    assert not (root / "tlearn-exclude.json").exists()


@pytest.mark.parametrize(
    ("encoding", "drawn"),
    [("utf-8", "\u2581 \u2585\u2588"), ("cp1252", ". +@"), ("ascii", ". +@"), ("nonsense", ". +@")],
)
def test_a_histogram_in_one_line(encoding: str, drawn: str) -> None:
    assert bars([0.05, 0, 0.4, 0.8], encoding) == drawn


def test_nothing_is_said_of_eight_bits(tlearn: Tlearn, root: Path) -> None:
    for path in root.glob("*/*/*.tif"):
        picture(path.parent.name, int(path.stem) + 50 * ("val" in str(path))).save(path)
    answer, findings, splits = doctor(tlearn)
    assert "histogram" not in answer.out
    assert findings.keys() == {"tiny_classes"}
    assert "numbers" not in splits["train"]
