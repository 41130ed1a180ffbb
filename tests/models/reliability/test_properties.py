"""Simple properties of pictures, and which moved most."""

from collections.abc import Callable

import pytest
import torch

from tlearn.models.reliability.properties import moved, properties_of


def pictures(seed: int = 0, channels: int = 3) -> torch.Tensor:
    return torch.randint(60, 160, (40, channels, 16, 16), generator=torch.Generator().manual_seed(seed)).byte()


def test_values_are_those_of_known_pictures() -> None:
    half_white = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    half_white[..., 4:] = 255
    found = {name: float(values) for name, values in properties_of(half_white).items()}
    assert found == pytest.approx(
        {
            "brightness": 0.5,
            "contrast": 0.5,
            "colour cast, red minus blue": 0.0,
            "colour cast, green": 0.0,
            "sharpness": 2 * 8 / 112,  # 8 of 112 pairs of neighbours differ, by twice the contrast
        }
    )
    red = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    red[:, 0] = 255
    found = {name: float(values) for name, values in properties_of(red).items()}
    assert found["colour cast, red minus blue"] == 1.0
    assert found["colour cast, green"] == -0.5
    assert found["sharpness"] == 0.0, "a picture of one colour has nothing to be sharp"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("brightness", lambda images: images + 40),
        ("contrast", lambda images: ((images.float() - 110) * 0.5 + 110).byte()),
        ("colour cast, red minus blue", lambda images: images + torch.tensor([20, 0, 0]).byte().view(3, 1, 1)),
        ("colour cast, green", lambda images: images + torch.tensor([0, 20, 0]).byte().view(3, 1, 1)),
        ("sharpness", lambda images: torch.nn.functional.avg_pool2d(images.float(), 3, 1, 1).mul(1.1).byte()),
    ],
)
def test_what_was_changed_moves_most(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    before, after = properties_of(pictures(0)), properties_of(change(pictures(1)))
    first = moved(before, after)[0]
    assert first.name == name
    assert abs(first.standard_errors) > 5
    expected = float(before[name].mean()), float(after[name].mean())
    assert (first.before, first.after) == pytest.approx(expected)


def test_one_channel_has_no_cast_and_one_pixel_no_sharpness() -> None:
    assert list(properties_of(pictures(channels=1))) == ["brightness", "contrast", "sharpness"]
    assert float(properties_of(torch.ones(1, 3, 1, 1, dtype=torch.uint8))["sharpness"]) == 0.0


def test_what_is_not_known_is_left_out() -> None:
    nan = float("nan")
    before = {"size": torch.tensor([100.0, 100.0, nan]), "JPEG quality": torch.tensor([90.0, nan, nan])}
    after = {"size": torch.tensor([100.0, 100.0]), "JPEG quality": torch.tensor([50.0, 50.0])}
    assert [(each.name, each.difference) for each in moved(before, after)] == [("size", 0.0)]
    assert moved({}, after) == []
