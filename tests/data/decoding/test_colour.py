"""Colours of other spaces become sRGB: what a profile or a PNG's gamma says, and what a broken one may not do."""

from __future__ import annotations

import io
import json
import shutil
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import CONFIG, PRIMARIES, grey_profile, ink_profile, picture, rgb_profile, write_splits
from tlearn import ImageFolderDataModule, load
from tlearn.data.decoding.colour import UNREADABLE_PROFILE, colour_space
from tlearn.data.decoding.decode import decode, pixels_of
from tlearn.data.decoding.reading_options import BEFORE, Reading
from tlearn.data.files.inspection import inspect_file

P3 = rgb_profile("Display P3")
ADOBE = rgb_profile("Adobe RGB (1998)", 2.19921875)
D65 = (0.3127, 0.3290)
COLOURS = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (128, 128, 128), (255, 255, 255), (0, 0, 0), (90, 60, 30)]


def patches(mode: str = "RGB") -> Image.Image:
    """Seven colours, 32 px each, so that JPEG keeps their middles."""
    return Image.fromarray(np.array([COLOURS], np.uint8).repeat(32, 0).repeat(32, 1)).convert(mode)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    best = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    image.save(file, kind, **{**best, **options})
    return file.getvalue()


def middles(data: bytes, reading: Reading | None = None) -> NDArray[np.int64]:
    """Decode, and take the middle of each patch, (7, 3)."""
    return decode(data, reading or Reading())[:, 16, 16::32].T.numpy().astype(np.int64)


def matrix_of(primaries: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """Linear red, green and blue to XYZ, for white D65."""
    xyz = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in primaries]).T
    x, y = D65
    return np.asarray(xyz * np.linalg.solve(xyz, [x / y, 1.0, (1 - x - y) / y]))


def expected(name: str, gamma: float | None = None) -> NDArray[np.float64]:
    """The colours in sRGB by the definitions of the spaces, in floats, without any profile."""
    level = np.array(COLOURS) / 255
    curved = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    linear = curved if gamma is None else level**gamma
    seen = linear @ (np.linalg.inv(matrix_of(PRIMARIES["sRGB"])) @ matrix_of(PRIMARIES[name])).T
    seen = seen.clip(0, 1)
    return 255 * np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize(
    ("name", "gamma", "profile"), [("Display P3", None, P3), ("Adobe RGB (1998)", 2.19921875, ADOBE)]
)
def test_a_profile_is_followed(kind: str, name: str, gamma: float | None, profile: bytes) -> None:
    best = {"quality": 100, "subsampling": "4:4:4"} if kind == "AVIF" else {}
    data = saved(patches(), kind, icc_profile=profile, **best)
    seen = middles(data)
    assert np.abs(seen - expected(name, gamma)).max() <= {"JPEG": 2, "AVIF": 4}.get(kind, 1)
    before = middles(data, BEFORE)
    assert np.abs(before - COLOURS).max() <= 4  # checkpoints of before have the numbers as they are
    assert np.abs(seen - before).max() > 15


def test_srgb_in_all_its_spellings_changes_no_bit(tmp_path: Path) -> None:
    theirs = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    bare = decode(saved(picture("cat", 1), "JPEG"), Reading())
    for profile in (rgb_profile("sRGB"), theirs):
        assert torch.equal(decode(saved(picture("cat", 1), "JPEG", icc_profile=profile), Reading()), bare)


def test_grey_pictures_follow_a_grey_profile() -> None:
    data = saved(patches("L"), "PNG", icc_profile=grey_profile(1.0))
    levels = np.asarray(patches("L"))[0, 16::32] / 255
    wanted = 255 * np.where(levels <= 0.0031308, 12.92 * levels, 1.055 * levels ** (1 / 2.4) - 0.055)
    seen = middles(data)
    assert (seen == seen[:, :1]).all()
    assert np.abs(seen[:, 0] - wanted).max() <= 1
    # The profile of screens in a grey file, and one of grey levels in a coloured file: greys stay, colours stay.
    assert (middles(saved(patches("L"), "PNG", icc_profile=P3))[:, 0] == np.asarray(patches("L"))[0, 16::32]).all()
    assert (middles(saved(patches(), "PNG", icc_profile=grey_profile(1.0))) == COLOURS).all()


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_follow_their_profile(kind: str) -> None:
    inks = Image.fromarray(
        np.array([[(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 255, 0), (0, 0, 0, 255)]], np.uint8), "CMYK"
    )
    inks = inks.resize((128, 32), Image.Resampling.NEAREST)
    plain = middles(saved(inks, kind))
    assert np.abs(plain - [(255, 255, 255), (0, 255, 255), (255, 0, 0), (0, 0, 0)]).max() <= 3
    paper, cyan, red, black = middles(saved(inks, kind, icc_profile=ink_profile()))
    assert (paper == 255).all()
    # What the inks of the profile leave of linear light, in sRGB's curve: none is as pure as a screen.
    light = np.array([(0.15, 0.70, 0.90), (0.85 * 0.95, 0.15 * 0.90, 0.60 * 0.10), (0.03, 0.03, 0.03)])
    wanted = 255 * (1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(np.stack([cyan, red, black]) - wanted).max() <= 3


def test_adobes_marker_makes_no_difference() -> None:
    """All CMYK in JPEG is taken for inverted, as Adobe writes it: browsers do so, and the standard says nothing."""
    data = saved(patches("CMYK"), "JPEG")
    place = data.index(b"\xff\xee")
    bare = data[:place] + data[place + 2 + int.from_bytes(data[place + 2 : place + 4], "big") :]
    assert b"Adobe" not in bare
    assert (middles(bare) == middles(data)).all()
    assert np.abs(middles(bare) - COLOURS).max() <= 4


@pytest.mark.parametrize("bits", [10, 12])
def test_avif_of_more_than_8_bits(bits: int, capfd: pytest.CaptureFixture[str]) -> None:
    codecs = pytest.importorskip("imagecodecs")
    levels = np.asarray(patches()).astype(np.uint16) << (bits - 8)
    seen = middles(codecs.avif_encode(levels, level=100, bitspersample=bits))
    assert np.abs(seen - COLOURS).max() <= 2
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("profile", [b"junk", P3[:200], bytes(len(P3)), P3.replace(b"RGB ", b"XRGB")])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_broken_profile_loses_no_picture(profile: bytes, mode: str, capfd: pytest.CaptureFixture[str]) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    data = saved(patches(mode), kind, icc_profile=profile)
    assert np.abs(middles(data) - middles(saved(patches(mode), kind))).max() <= 60
    assert capfd.readouterr() == ("", "")


def test_a_truncated_profile_leaves_the_numbers(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(saved(patches(), "PNG", icc_profile=P3[:200]))
    assert (middles((tmp_path / "x.png").read_bytes()) == COLOURS).all()
    assert inspect_file(tmp_path / "x.png").profile == UNREADABLE_PROFILE


def test_transparent_pixels_keep_their_transparency() -> None:
    half = patches("RGBA")
    half.putalpha(128)
    seen = middles(saved(half, "PNG", icc_profile=P3))
    assert np.abs(seen - (expected("Display P3") * 128 + 255 * 127) / 255).max() <= 1.5
    palette = patches().convert("P", palette=Image.Palette.ADAPTIVE, colors=8)
    seen = middles(saved(palette, "PNG", icc_profile=P3, transparency=bytes([0] + [255] * 7)))
    kept = middles(saved(palette, "PNG", transparency=bytes([0] + [255] * 7)))
    gone = np.asarray(palette)[16, 16::32] == 0
    assert gone.sum() == 1
    assert (seen[gone] == 255).all()
    assert (kept[gone] == 255).all()
    assert np.abs(seen - expected("Display P3"))[~gone].max() <= 2


def png_with(chunks: Mapping[bytes, bytes], image: Image.Image | None = None) -> bytes:
    data = saved(image or patches(), "PNG")
    head, rest = data[:33], data[33:]
    whole = io.BytesIO()
    for kind, content in chunks.items():
        PngImagePlugin.putchunk(whole, kind, content)
    return head + whole.getvalue() + rest


def gama(gamma: float) -> bytes:
    return round(100_000 * gamma).to_bytes(4, "big")


def test_gamma_of_a_png_is_followed() -> None:
    seen = middles(png_with({b"gAMA": gama(1.0)}))
    assert np.abs(seen - expected("sRGB", 1.0)).max() <= 0.5
    for near in (1 / 2.2, 0.435, 0.475):  # what sRGB is nearly
        assert (middles(png_with({b"gAMA": gama(near)})) == COLOURS).all()
    assert np.abs(middles(png_with({b"gAMA": gama(1 / 1.8)})) - expected("sRGB", 1.8)).max() <= 0.5
    assert (middles(png_with({b"gAMA": gama(1.0), b"sRGB": b"\0"})) == COLOURS).all()  # which has the last word
    assert (middles(png_with({b"gAMA": gama(0.0)})) == COLOURS).all()
    assert (middles(png_with({b"gAMA": gama(1.0)}), BEFORE) == COLOURS).all()
    profiled = saved(patches(), "PNG", icc_profile=P3)
    both = profiled[:33] + png_with({b"gAMA": gama(1.0)})[33:49] + profiled[33:]
    assert (middles(both) == middles(profiled)).all()
    grey = middles(png_with({b"gAMA": gama(1.0)}, patches("LA")))
    assert (grey[:, 0] > np.asarray(patches("L"))[0, 16::32]).sum() == 5  # all but black and white


def test_a_photograph_at_a_fraction_has_the_same_colours() -> None:
    large = patches().resize((224 * 8, 32 * 8), Image.Resampling.NEAREST)
    small = decode(saved(large, "JPEG", icc_profile=P3), Reading(), least_px=16)
    assert small.shape == (3, 32, 224)
    assert np.abs(small[:, 16, 16::32].T.numpy() - expected("Display P3")).max() <= 2


def test_threads_share_a_conversion() -> None:
    files = [saved(picture("cat", number), "PNG", icc_profile=(P3, ADOBE)[number % 2]) for number in range(16)]
    alone = [decode(data, Reading()) for data in files]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            together = list(pool.map(lambda data: decode(data, Reading()), files))
            assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


def test_pictures_in_memory_are_converted_once() -> None:
    image = Image.open(io.BytesIO(saved(patches(), "PNG", icc_profile=P3)))
    seen = pixels_of(image)[:, 16, 16::32].T.numpy()
    assert np.abs(seen - expected("Display P3")).max() <= 1
    theirs = ImageCms.profileToProfile(
        *(image, ImageCms.ImageCmsProfile(io.BytesIO(P3)), ImageCms.createProfile("sRGB")), outputMode="RGB"
    )
    assert theirs is not None
    assert colour_space(theirs) == ""
    assert np.abs(pixels_of(theirs)[:, 16, 16::32].T.numpy() - expected("Display P3")).max() <= 1


def deep(image: Image.Image) -> NDArray[np.uint16]:
    return np.asarray(np.asarray(image).astype(int) * 256 + 128, np.uint16)


@pytest.mark.parametrize("intensity", ["auto", "type"])
def test_colours_of_16_bits_are_converted_after_they_became_8(intensity: str, tmp_path: Path) -> None:
    tifffile, codecs = pytest.importorskip("tifffile"), pytest.importorskip("imagecodecs")
    tifffile.imwrite(tmp_path / "x.tif", deep(patches()), photometric="rgb", iccprofile=P3)
    plain = codecs.png_encode(deep(patches()))
    chunk = png_with({b"iCCP": b"x\0\0" + zlib.compress(P3)})
    (tmp_path / "x.png").write_bytes(plain[:33] + chunk[33 : chunk.index(b"IDAT") - 4] + plain[33:])
    for path in (tmp_path / "x.tif", tmp_path / "x.png"):
        reading = Reading(intensity, {})  # type: ignore[arg-type]  # one of its texts
        assert np.abs(middles(path.read_bytes(), reading) - expected("Display P3")).max() <= 1
        assert (middles(path.read_bytes(), replace(reading, converts_colour=False)) == COLOURS).all()
        assert inspect_file(path).profile == "Display P3"
        bands = Reading(intensity, {}, channels=(1, 2, 3))  # type: ignore[arg-type]  # one of its texts
        assert (middles(path.read_bytes(), bands) == COLOURS).all()  # chosen bands are no colours
        assert inspect_file(path, bands).profile == ""


def test_a_tiff_with_transparency_follows_its_profile(tmp_path: Path) -> None:
    opaque = patches("RGBA")
    data = saved(opaque, "TIFF", icc_profile=P3)
    assert np.abs(middles(data) - expected("Display P3")).max() <= 1


def test_lab_is_read_as_its_colours(tmp_path: Path) -> None:
    profile = ImageCms.createProfile("LAB")
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), profile, "RGB", "LAB")
    lab = ImageCms.applyTransform(patches(), to_lab)
    assert lab is not None
    lab.info.clear()
    assert np.abs(middles(saved(lab, "TIFF")) - COLOURS).max() <= 5  # 8 bits of L*a*b* are coarse


def write_phone(root: Path) -> Path:
    """Pictures of which two thirds of the training ones are of a phone."""
    write_splits(root)
    for number, path in enumerate(sorted(root.glob("train/*/*.png"))):
        if number % 3:
            with Image.open(path) as image:
                image.save(path, icc_profile=P3)
    return root


def test_fit_and_doctor_count_what_is_converted(tlearn: Tlearn, tmp_path: Path) -> None:
    root = write_phone(tmp_path / "pictures")
    picture("cat", 901).convert("CMYK").save(root / "train/cat/ink.jpg")
    picture("cat", 902).convert("CMYK").save(root / "train/cat/proof.jpg", icc_profile=ink_profile())
    picture("dog", 903).save(root / "train/dog/broken.png", icc_profile=P3[:200])
    Path("folder.yaml").write_text(CONFIG)
    answer = tlearn("fit", "--config", "folder.yaml", "--trainer.fast_dev_run", "true")
    assert answer.code == 0, answer.err
    told = "16 of 27 train pictures are Display P3, 1 Made-up inks: converted to sRGB"
    assert answer.err.count(told) == 1
    assert "val pictures are" not in answer.err
    answer = tlearn("doctor", "--config", "folder.yaml")
    assert answer.code == 0, answer.err
    found = {each["kind"]: each for each in json.loads(Path("doctor.json").read_text())["findings"]}
    said = "16 of 51 pictures are Display P3, 1 Made-up inks: converted to sRGB, as the network knows colours"
    assert found["colour_space"]["what"] == f"{said}; nothing to do"
    assert len(found["colour_space"]["files"]) == 17
    assert found["colour_profile"]["what"] == "1 picture with a colour profile that cannot be read: taken for sRGB"
    assert found["cmyk"]["what"] == (
        "2 pictures in inks (CMYK), converted to RGB: 1 by the profile in the file, 1 without a profile, roughly"
    )
    assert {found[kind]["severity"] for kind in ("colour_space", "colour_profile", "cmyk")} == {"note"}


def fingerprint_of(root: Path, **options: Any) -> str:
    data = ImageFolderDataModule(str(root), size_px=16, **options)
    data.setup("fit")
    return data.data_fingerprint


def test_only_converted_pictures_change_the_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = {"stored_reading": {"intensity": "type", "converts_colour": False}, "intensity": "type"}
    write_splits(tmp_path / "plain")
    assert fingerprint_of(tmp_path / "plain") == fingerprint_of(tmp_path / "plain", **before)
    write_phone(tmp_path / "phone")
    assert fingerprint_of(tmp_path / "phone") != fingerprint_of(tmp_path / "phone", **before)


def test_predict_sees_the_same_colours_by_path_and_by_image(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished_run, tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")
    (tmp_path / "x.png").write_bytes(saved(picture("cat", 5), "PNG", icc_profile=P3))
    predictor = load("runs/folder/version_0")
    with Image.open(tmp_path / "x.png") as image:
        by_path, by_image = predictor.predict([str(tmp_path / "x.png"), image])
    assert by_path.probabilities == by_image.probabilities
