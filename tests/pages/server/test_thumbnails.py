"""Pictures of a page: by number, whole, as a fit sees them, from memory, and honest where there is none."""

from __future__ import annotations

import io
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tlearn.base.errors import TlearnError
from tlearn.data.decoding.reading_options import Reading
from tlearn.pages.server import thumbnails
from tlearn.pages.server.app import page_app
from tlearn.pages.server.image_route import image_route
from tlearn.pages.server.options import ServerOptions
from tlearn.pages.server.thumbnails import Thumbnails, thumbnail


def picture(path: Path, size: tuple[int, int] = (600, 300), colour: str = "red", **options: object) -> Path:
    Image.new("RGB", size, colour).save(path, **options)  # type: ignore[arg-type]  # words for the encoder
    return path


def shown(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def client(files: list[Path | None]) -> TestClient:
    routes = [image_route(lambda number: files[number])]
    return TestClient(page_app(routes, ServerOptions()), base_url="http://127.0.0.1:8760")


def test_the_whole_picture_is_shown_in_its_own_aspect_ratio(tmp_path: Path) -> None:
    made = thumbnail(picture(tmp_path / "wide.jpg"), 320)
    assert (made.media_type, shown(made.data).size) == ("image/jpeg", (320, 160))
    small = thumbnail(picture(tmp_path / "small.png", (40, 20), "blue"), 320)
    assert (small.media_type, shown(small.data).size) == ("image/png", (40, 20))
    assert shown(small.data).getpixel((3, 3)) == (0, 0, 255)


def test_it_stands_upright_as_its_orientation_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # to be turned by a quarter
    made = thumbnail(picture(tmp_path / "turned.jpg", exif=exif), 320)
    assert shown(made.data).size == (160, 320)


def test_numbers_of_16_bits_are_shown_as_the_network_gets_them(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((32, 32), 500, np.uint16)).save(path)
    made = thumbnail(path, 320, Reading(ranges={"uint16": (0.0, 1000.0)}))
    assert shown(made.data).getpixel((3, 3)) == (127, 127, 127)


def test_one_size_of_one_file_is_decoded_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = picture(tmp_path / "a.jpg")
    decoding = Mock(wraps=thumbnails.thumbnail)
    monkeypatch.setattr(thumbnails, "thumbnail", decoding)
    kept = Thumbnails(most_bytes=10_000)
    assert kept.get(path, 320) == kept.get(path, 320)
    assert decoding.call_count == 1
    picture(path, colour="blue")
    assert shown(kept.get(path, 320).data).getpixel((5, 5)) == (0, 0, 254)
    for number in range(20):
        kept.get(picture(tmp_path / f"{number}.jpg"), 320)
    kept.get(path, 320)
    assert decoding.call_count == 23  # it was dropped: memory is bounded


def test_pictures_are_asked_for_by_number(tmp_path: Path) -> None:
    asked = client([picture(tmp_path / "a.jpg"), None])
    answer = asked.get("/image/0?size_px=64")
    assert shown(answer.content).size == (64, 32)
    assert answer.headers["cache-control"] == "private, no-cache"
    again = asked.get("/image/0?size_px=64", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for number in ("1", "7"):
        assert asked.get(f"/image/{number}").json() == {"error": f"there is no picture {number}"}


@pytest.mark.parametrize(
    "number", ["-1", "9" * 6000, "1e3", "../secret", "..%2f..%2fsecret", "%00", "٣", "0x1", "a.jpg"]
)
def test_nothing_else_names_a_picture(tmp_path: Path, number: str) -> None:
    answer = client([picture(tmp_path / "a.jpg")]).get(f"/image/{number}")
    assert answer.status_code in (400, 404)
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize("size", ["15", "2049", "9999999999999", "x", "", "-320", "320.0"])
def test_sizes_are_bounded(tmp_path: Path, size: str) -> None:
    answer = client([picture(tmp_path / "a.jpg")]).get(f"/image/0?size_px={size}")
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        f"size_px: expected a whole number from 16 to 2048, got {size!r}",
    )
    with pytest.raises(TlearnError, match="size_px: expected from 16 to 2048, got 15"):
        thumbnail(tmp_path / "a.jpg", 15)


def test_a_broken_file_gives_its_reason(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture at all")
    asked = client([tmp_path / "a.jpg", tmp_path / "gone.jpg", tmp_path])
    errors = [asked.get(f"/image/{number}") for number in range(3)]
    assert [each.status_code for each in errors] == [404, 404, 404]
    assert [each.json()["error"] for each in errors] == [
        "a.jpg cannot be shown: no picture format",
        "gone.jpg cannot be shown: No such file or directory",
        f"{tmp_path.name} cannot be shown: no regular file",
    ]
