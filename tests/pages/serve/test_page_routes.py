"""What the page of `serve` alone needs from its server: the page itself, previews, and facts of a run."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.helpers.made_run import csv_of, made_card, write_run
from tlearn.pages.serve.page_routes import PREVIEW_PX, page_routes
from tlearn.pages.serve.run_facts import run_facts
from tlearn.pages.server.app import page_app
from tlearn.pages.server.options import ServerOptions


@pytest.fixture
def client() -> TestClient:
    app = page_app(page_routes("<script>alert(1)</script>"), ServerOptions(), most_bytes=2**26)
    return TestClient(app, base_url="http://127.0.0.1:8760")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    with io.BytesIO() as file:
        image.save(file, kind, **options)
        return file.getvalue()


def test_the_title_is_text(client: TestClient) -> None:
    answer = client.get("/")
    assert "<script>alert" not in answer.text
    assert '<h1 id="title">&lt;script&gt;alert(1)&lt;/script&gt;</h1>' in answer.text


def test_a_preview_is_upright_and_small(client: TestClient) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    wide = Image.new("RGB", (1200, 900))
    wide.paste((255, 0, 0), (0, 0, 600, 900))  # left, which is the top when it is upright
    answer = client.post("/preview", content=encoded(wide, "TIFF", exif=exif))
    assert answer.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(answer.content)) as shown:
        assert shown.size == (PREVIEW_PX * 3 // 4, PREVIEW_PX)
        assert np.asarray(shown)[:300, :, 0].min() > 240
        assert np.asarray(shown)[340:, :, 0].max() < 15


@pytest.mark.parametrize("data", [b"", b"no picture", b"II*\0", b"\xff\xd8\xff\xe0" * 9])
def test_what_gives_no_picture_has_no_preview(client: TestClient, data: bytes) -> None:
    answer = client.post("/preview", content=data)
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_run_says_when_it_was_trained_and_what_it_reached(tmp_path: Path) -> None:
    card = made_card(["ants", "bees"]) | {"started": "2026-11-29T09:04:23+00:00"}
    card["best"] = {"monitor": "val/acc", "value": 124 / 153, "epoch": 4, "images": 153}
    facts = run_facts(write_run(tmp_path, card, csv_of(5)))
    assert facts["trained"] == "2026-11-29T09:04:23+00:00"
    reached = str(facts["reached"]).replace("\N{NO-BREAK SPACE}", " ")
    assert reached.endswith("best validation accuracy 81.0 % [74.1, 86.5], 124 of 153 validation images")


def test_a_checkpoint_elsewhere_says_nothing(tmp_path: Path) -> None:
    assert run_facts(tmp_path) == {"trained": None, "reached": None}
