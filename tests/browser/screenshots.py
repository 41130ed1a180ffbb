"""Photograph the dashboard of the quick start: `python -m tests.browser.screenshots FOLDER`.

With `--report RUN` it photographs the report of a run instead. That of the documents shows ants and bees, which a fresh
clone lacks, so `make screenshots` leaves it as it is.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.browser import pages
from tests.helpers.dashboard_server import Dashboard, make_dashboard

if TYPE_CHECKING:
    from playwright.sync_api import Page

COMMAND = ["-m", "tlearn", "quickstart"]  # the one that the README shows beside them
RUN = "quickstart_transfer/version_1"
MOST_BYTES = 400_000


def main(folder: Path, run: Path | None = None) -> None:
    """Run the quick start in a folder that is gone afterwards, and take a picture of each page.

    Args:
        folder: Where the pictures go.
        run: A run folder whose report is photographed instead, light and dark.
    """
    executable = pages.chromium_path()
    if executable is None:
        sys.exit("no chromium, chromium-browser or google-chrome on this machine: apt-get install chromium")
    folder.mkdir(parents=True, exist_ok=True)
    if run is not None:
        with pages.open_browser(executable) as browser, pages.open_page(browser) as page:
            _report(page, run, folder)
        return
    with tempfile.TemporaryDirectory() as scratch:
        # One thread, for the same figures on any number of cores.
        subprocess.run([sys.executable, *COMMAND], cwd=scratch, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True)
        runs = Path(scratch) / "runs"
        with make_dashboard(runs) as dashboard, pages.open_browser(executable) as browser:
            for take in (_scalars, _images, _projector, _hparams):
                with pages.open_page(browser) as page:
                    take(page, dashboard, runs, folder)


def _scalars(page: Page, dashboard: Dashboard, runs: Path, folder: Path) -> None:
    settings = json.dumps({"timeSeriesSettingsPaneOpened": False, "sideBarWidthInPercent": 22})
    page.add_init_script(f"localStorage.setItem('_tb_global_settings', '{settings}')")  # room for the curves
    pages.see_scalars(page, dashboard.url, ("train/loss", "val/acc", "val/ece", "val/loss"), runs="quickstart_transfer")
    save(page, folder / "scalars.png")


def _images(page: Page, dashboard: Dashboard, runs: Path, folder: Path) -> None:
    log = EventAccumulator(str(runs / RUN / "test")).Reload()
    tags = ("test/confusion_matrix", "test/worst_mistakes")
    pages.see_images(
        page, dashboard.url, f"{RUN}/test", {tag: log.Images(tag)[-1].encoded_image_string for tag in tags}
    )
    # Below the runs stands their folder, which was made up for this; in the folder where one works it is `runs`.
    page.locator("tf-runs-selector").first.evaluate("selector => selector.set('dataLocation', 'runs')")
    save(page, folder / "images.png")


def _projector(page: Page, dashboard: Dashboard, runs: Path, folder: Path) -> None:
    first = dashboard.ask("projector/runs")[0]
    points, dimension = dashboard.ask("projector/info", run=first)["embeddings"][0]["tensorShape"]
    pages.see_projector(page, dashboard.url, points, dimension)
    page.mouse.move(640, 460)
    for _ in range(5):  # steps back, for all points to be in the picture
        page.mouse.wheel(0, 100)
        page.wait_for_timeout(500)
    save(page, folder / "projector.png")


def _hparams(page: Page, dashboard: Dashboard, runs: Path, folder: Path) -> None:
    columns = ("lr", "weights", "train_per_class", "val_best/acc", "val/loss")
    pages.see_hparams(page, dashboard.url, columns, ())
    save(page, folder / "hparams.png")


def _report(page: Page, run: Path, folder: Path) -> None:
    page.set_viewport_size({"width": 1280, "height": 1585})
    for scheme, name in (("light", "report.png"), ("dark", "report-dark.png")):
        pages.see_report(page, run / "report.html", scheme, ["Confusion matrix"])
        save(page, folder / name, Image.Dither.FLOYDSTEINBERG)  # photographs would show steps


def save(page: Page, path: Path, dither: Image.Dither = Image.Dither.NONE) -> None:
    """Write what the page shows in 256 colours, which nobody tells from all of them, and says if it is large still."""
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").quantize(256, dither=dither).save(path, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        sys.exit(f"{path} has {path.stat().st_size:,} bytes, more than {MOST_BYTES:,}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--report", type=Path)
    typed = parser.parse_args()
    main(typed.folder, typed.report)
