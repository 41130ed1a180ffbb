"""The page of `serve` on a trained run: the answers of `predict`, the run's own pictures, corrections on the disk."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.page_checks import watched
from tests.conftest import Tlearn
from tests.helpers.dashboard_server import eventually
from tests.helpers.fake_pictures import write_flat
from tests.pages.served import served
from tlearn.data.labels.label_list import LabelList
from tlearn.pages.serve.app import app

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
SETTINGS = "?coverage=0.8&min_accuracy=0.6"


@pytest.fixture(scope="module")
def folder(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    own = tmp_path_factory.mktemp("served") / "own"  # corrections are written into it
    shutil.copytree(finished_run, own)
    return own


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_flat(tmp_path_factory.mktemp("photos"), count=20)


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with chdir(folder):  # the run names its pictures from there
        made = app("runs/folder/version_0")
    with served(made) as address:
        yield address


@pytest.fixture
def asked(page: Page, url: str, photos: list[Path]) -> Iterator[Page]:
    """Give the page with answers for all photos."""
    with watched(page):
        page.goto(f"{url}{SETTINGS}")
        page.locator("body[data-ready]").wait_for()
        page.locator("#files").set_input_files(photos)
        page.locator(".card[data-state=answered]").nth(len(photos) - 1).wait_for()
        yield page


def test_the_table_is_that_of_predict(
    asked: Page, folder: Path, photos: list[Path], tlearn: Tlearn, tmp_path: Path
) -> None:
    with asked.expect_download() as download:
        asked.get_by_role("button", name="Download as CSV").click()
    words = ["--coverage", "0.8", "--min_accuracy", "0.6", "--nearest", "5"]
    out, run = tmp_path / "p.csv", folder / "runs/folder/version_0"
    precision = ["--trainer.precision", "32-true"]
    assert tlearn("predict", str(run), str(photos[0].parent), "--out", str(out), *words, *precision).code == 0
    downloaded, wanted = (
        list(csv.reader(path.read_text(encoding="utf-8").splitlines())) for path in (download.value.path(), out)
    )
    assert downloaded[0] == wanted[0]
    for row, other in zip(downloaded[1:], wanted[1:], strict=True):
        assert row == [Path(other[0]).name, *other[1:]]


def test_the_run_shows_its_own_pictures_and_where_it_looked(asked: Page) -> None:
    expect(asked.locator("#runs")).to_contain_text("best validation accuracy", use_inner_text=True)
    eventually(lambda: _all_shown(asked))
    asked.get_by_role("button", name="Where did it look?").first.click()
    heat, picture = asked.locator(".heat:not([hidden])"), asked.locator(".picture").first
    heat.wait_for()
    eventually(lambda: _same_shape(heat, picture))


def _all_shown(page: Page) -> None:
    first = page.locator(".card").first.locator(".nearest img")
    assert first.evaluate_all("all => all.length === 5 && all.every(each => each.naturalWidth > 0)")


def _same_shape(heat: object, picture: object) -> None:
    shapes = [each.evaluate("each => each.naturalWidth / each.naturalHeight") for each in (heat, picture)]  # type: ignore[attr-defined]
    assert shapes[0] == pytest.approx(shapes[1], rel=0.02)


def test_a_correction_lies_in_the_list_for_review_until_it_is_undone(asked: Page, folder: Path) -> None:
    corrections = folder / "runs/folder/version_0/corrections"
    asked.get_by_role("button", name="This is wrong").first.click()
    expect(asked.get_by_role("combobox", name="What is")).to_be_focused()
    asked.keyboard.press("Enter")
    asked.get_by_text("Kept for review:").wait_for()
    (kept,) = LabelList(corrections).read().values()
    assert (kept.decision, (corrections / kept.path).is_file()) == ("label", True)
    expect(asked.locator(".kept")).to_contain_text(kept.label)
    asked.get_by_role("button", name="Undo").click()
    asked.locator(".kept").wait_for(state="detached")
    assert LabelList(corrections).read() == {}
    assert not (corrections / kept.path).exists()
