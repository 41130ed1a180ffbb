"""What people see: TensorBoard and the report in a real browser, over a small run that was fitted and tested."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.browser import pages
from tests.helpers.dashboard_server import RUN, Dashboard, fit_and_test, make_dashboard

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    fit_and_test(folder)
    return folder / "runs"


@pytest.fixture(scope="module")
def dashboard(runs: Path) -> Iterator[Dashboard]:
    with make_dashboard(runs) as running:
        yield running


@pytest.mark.parametrize("width_px", [800, 1280])
def test_opens_on_the_validation_curves(page: Page, dashboard: Dashboard, width_px: int) -> None:
    pages.see_first_page(page, dashboard.url, width_px, ("val/acc", "val/loss"))


def test_scalars(page: Page, dashboard: Dashboard) -> None:
    pages.see_scalars(page, dashboard.url, ("train/loss", "val/acc", "val/loss", "val/ece"))


def test_images(page: Page, dashboard: Dashboard, runs: Path) -> None:
    for run, tags in (
        (RUN, ("val/confusion_matrix", "val/worst_mistakes")),
        (f"{RUN}/test", ("test/confusion_matrix",)),
    ):
        log = EventAccumulator(str(runs / run)).Reload()
        pages.see_images(page, dashboard.url, run, {tag: log.Images(tag)[-1].encoded_image_string for tag in tags})


def test_projector(page: Page, dashboard: Dashboard) -> None:
    pages.see_projector(page, dashboard.url, points=21, dimension=64)


def test_hparams(page: Page, dashboard: Dashboard, runs: Path) -> None:
    best = json.loads((runs / RUN / "card.json").read_text())["best"]["value"]
    columns = ("freeze_backbone", "batch_size", "lr", "optimizer", "val_best/acc")
    pages.see_hparams(page, dashboard.url, columns, (RUN, "false", "8", "0.010000", "SGD", f"{best:.5g}"))


def test_report(page: Page, runs: Path) -> None:
    report = runs / RUN / "report.html"
    card = json.loads((runs / RUN / "card.json").read_text())
    expected = [f"{100 * card['best']['value']:.1f}", "Confusion matrix", "mistakes", "right answers"]
    light = pages.see_report(page, report, "light", expected)
    dark = pages.see_report(page, report, "dark", expected)
    assert light > 0.9
    assert dark < 0.2
