from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from tests.helpers.fake_pictures import picture, write_broken
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.files.reading import Framing, UnreadableImageError, read_image, resized_crop_box

AS_IS = Framing(size_px=64, crop_pct=1.0)


def photograph(height: int, width: int) -> Image.Image:
    """Smooth, with a corner that tells up from down and left from right."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([255 * y / height, 255 * x / width, 128 + 0 * x], axis=2).astype(np.uint8)
    pixels[: height // 4, : width // 4] = 255
    return Image.fromarray(pixels)


def read(image: Image.Image, path: Path, framing: Framing = AS_IS, **options: Any) -> Tensor:
    image.save(path, **options)
    pixels = read_image(path, framing)
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (3, framing.size_px, framing.size_px)
    return pixels


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr"])
def test_every_mode_gives_its_colours(mode: str, tmp_path: Path) -> None:
    image = picture("cat", 1).convert(mode)
    suffix = ".jpg" if mode in ("CMYK", "YCbCr") else ".png"
    best: dict[str, Any] = {"quality": 100, "subsampling": 0} if suffix == ".jpg" else {}
    pixels = read(image, tmp_path / f"x{suffix}", **best)
    expected = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    assert (pixels.int() - expected.int()).abs().max() <= (0 if suffix == ".png" else 6)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_scaled(suffix: str, tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1))
    pixels = read(Image.fromarray(ramp), tmp_path / f"deep{suffix}")
    assert torch.equal(pixels[0], torch.from_numpy((ramp >> 8).astype(np.uint8)))
    assert len(pixels.unique()) == 64


def test_numbers_without_a_range_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.arange(64).reshape(8, 8).astype(np.float32)).save(tmp_path / "x.tif")
    with pytest.raises(UnreadableImageError, match=r"float32 has no range of its own, .*intensity type needs; give"):
        read_image(tmp_path / "x.tif", Framing(8, crop_pct=1.0, reading=Reading("type")))


@pytest.mark.parametrize("kind", [np.float32, np.int32, np.uint16])
def test_a_picture_alone_has_its_own_range(kind: type, tmp_path: Path) -> None:
    Image.fromarray((np.arange(64).reshape(8, 8) * 16).astype(kind)).save(tmp_path / "x.tif")
    pixels = read_image(tmp_path / "x.tif", Framing(8, crop_pct=1.0))
    assert (int(pixels.min()), int(pixels.max()), len(pixels.unique())) == (0, 252 if kind != np.float32 else 255, 64)


def test_transparent_pixels_are_white(tmp_path: Path) -> None:
    half = picture("cat", 1).convert("RGBA")
    half.putalpha(Image.new("L", half.size, 128))
    expected = 255 - (255 - np.array(picture("cat", 1)).astype(float)) * 128 / 255
    pixels = read(half, tmp_path / "rgba.png").permute(1, 2, 0).numpy()
    assert np.abs(pixels - expected).max() <= 1
    gone = picture("cat", 1).convert("P")
    assert (read(gone, tmp_path / "palette.png", transparency=bytes(256)) == 255).all()


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".avif"])
def test_first_frame_of_an_animation(suffix: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ((250, 0, 0), (0, 0, 250))]
    pixels = read(frames[0], tmp_path / f"x{suffix}", save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / f"x{suffix}") as file:
        assert getattr(file, "n_frames", 1) == 2
    assert pixels[:, 0, 0].tolist() == pytest.approx([250, 0, 0], abs=3)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(orientation: int, suffix: str, tmp_path: Path) -> None:
    upright = photograph(64, 64)
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions that undo each
    stored = upright.transpose(Image.Transpose(back[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = read(stored, tmp_path / f"x{suffix}", exif=exif)
    expected = torch.from_numpy(np.array(upright)).permute(2, 0, 1)
    assert (pixels.int() - expected.int()).abs().float().mean() < 3


def test_jpeg_has_pillows_pixels(tmp_path: Path) -> None:
    photograph(300, 400).save(tmp_path / "x.jpg")
    theirs = torch.from_numpy(np.array(Image.open(tmp_path / "x.jpg").convert("RGB"))).permute(2, 0, 1)
    side = round(0.875 * 300)
    top, left = (300 - side) // 2, (400 - side) // 2
    expected = F.resize(theirs[:, top : top + side, left : left + side], [224, 224], antialias=True)
    assert torch.equal(read_image(tmp_path / "x.jpg", Framing()), expected)


def test_large_jpeg_is_decoded_small_with_the_same_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photograph(1600, 2400).save(tmp_path / "x.jpg", quality=95)
    small = read_image(tmp_path / "x.jpg", Framing(64))
    monkeypatch.setattr(JpegImageFile, "draft", lambda *_: None)
    whole = read_image(tmp_path / "x.jpg", Framing(64))
    assert not torch.equal(small, whole)  # it was decoded at a fraction
    assert (small.int() - whole.int()).abs().float().mean() < 0.5


def test_letterbox_shows_all_of_it(tmp_path: Path) -> None:
    pixels = read(Image.new("RGB", (100, 50), (10, 20, 30)), tmp_path / "x.png", Framing(64, "letterbox"))
    assert (pixels[:, 16:48] == torch.tensor([10, 20, 30]).view(3, 1, 1)).all()
    bars = torch.cat([pixels[:, :16], pixels[:, 48:]], dim=1)
    assert (bars == torch.tensor([124, 116, 104]).view(3, 1, 1)).all()


def test_center_cuts_the_middle(tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 100))
    image.paste((200, 0, 0), (100, 0, 200, 100))
    assert (read(image, tmp_path / "x.png", Framing(50, crop_pct=1.0))[0] == 200).all()


def test_a_file_without_a_picture_says_why(tmp_path: Path) -> None:
    for name, reason in write_broken(tmp_path).items():
        with pytest.raises(UnreadableImageError) as caught:
            read_image(tmp_path / name, AS_IS)
        assert str(caught.value) == reason
    with pytest.raises(UnreadableImageError, match="No such file"):
        read_image(tmp_path / "missing.png", AS_IS)


def test_random_box_stays_inside_and_has_its_share() -> None:
    draws = torch.rand(500, 4, generator=torch.Generator().manual_seed(0))
    draws[:, 0] = 0.3 + 0.7 * draws[:, 0]
    for draw in draws:
        top, left, height, width = resized_crop_box(draw, 120, 200)
        assert 0 <= top <= 120 - height
        assert 0 <= left <= 200 - width
        # One that would not fit is cut back to the picture.
        assert height * width <= float(draw[0]) * 120 * 200 * 1.02
        assert height * width >= 0.3 * 120 * 200 * 0.75
    assert resized_crop_box(torch.tensor([1.0, 0.5, 0.0, 0.0]), 100, 100) == (0, 0, 100, 100)
