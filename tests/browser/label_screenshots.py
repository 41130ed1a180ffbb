"""Photograph the page of `label`: `python -m tests.browser.label_screenshots FOLDER PHOTOS [OPTIONS OF THE NETWORK]`.

That of the documents shows ants and bees, which a fresh clone lacks, so `make screenshots` leaves it as it is.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from tests.browser import pages
from tests.browser.page_checks import PHONE_PX
from tests.browser.screenshots import save
from tests.helpers.dashboard_server import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Page

_KEYS = 130  # two batches and a half
_PATIENCE_MS = 120_000


def main(folder: Path, photos: Path, network: Sequence[str] = ()) -> None:
    """Label photographs by the keys, as their folders say, and photograph the third batch, with curve and forecast.

    Args:
        folder: Where `label.png` and `label_phone.png` go.
        photos: A folder with a folder for each class, at most nine.
        network: Options of the network.
    """
    executable = pages.chromium_path()
    if executable is None:
        sys.exit("no chromium, chromium-browser or google-chrome on this machine: apt-get install chromium")
    truth = {path.name: path.parent.name for path in sorted(photos.glob("*/*")) if path.is_file()}
    classes = sorted(set(truth.values()))
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "photos").mkdir()
        for name, class_name in truth.items():
            shutil.copy(photos / class_name / name, Path(scratch) / "photos" / name)
        words = ["photos", "--classes", ",".join(classes), *network]
        with (
            _served(["-m", "tlearn", "label", *words], Path(scratch)) as address,
            pages.open_browser(executable) as browser,
            pages.open_page(browser) as page,
        ):
            page.goto(address)
            page.locator(".file").filter(has_text=".").wait_for()
            for _ in range(_KEYS):
                _answer(page, truth, classes)
            page.get_by_text("more labels are worth").wait_for()
            page.wait_for_load_state("networkidle")
            save(page, folder / "label.png", Image.Dither.FLOYDSTEINBERG)
            page.set_viewport_size({"width": PHONE_PX[0], "height": 1000})
            page.wait_for_timeout(500)
            save(page, folder / "label_phone.png", Image.Dither.FLOYDSTEINBERG)


def _answer(page: Page, truth: dict[str, str], classes: Sequence[str]) -> None:
    name = page.locator(".file").inner_text(timeout=_PATIENCE_MS)
    page.keyboard.press(str(classes.index(truth[name]) + 1))
    following = page.locator(".end .first")
    if following.is_visible():
        page.locator(".end .first:enabled").wait_for()
        following.click()
    eventually(partial(_assert_other, page, name))


def _assert_other(page: Page, name: str) -> None:
    assert page.locator(".file").inner_text() != name


@contextmanager
def _served(words: Sequence[str], folder: Path) -> Iterator[str]:
    ours = os.environ | {"PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen([sys.executable, *words], cwd=folder, stdout=subprocess.PIPE, text=True, env=ours) as process:
        assert process.stdout is not None
        try:
            yield next(line.split()[-1] for line in process.stdout if "http://" in line)
        finally:
            process.terminate()
            process.stdout.read()  # its last words


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("photos", type=Path)
    typed, network = parser.parse_known_args()
    main(typed.folder, typed.photos, network)
