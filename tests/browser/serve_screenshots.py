"""Photograph the page of `serve`: `python -m tests.browser.serve_screenshots FOLDER RUN PICTURES...`.

Those of the documents show ants and bees, which a fresh clone lacks, so `make screenshots` leaves them as they are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from tests.browser import pages
from tests.browser.page_checks import PHONE_PX
from tests.browser.screenshots import save
from tests.pages.served import served
from tlearn.pages.serve.app import app

if TYPE_CHECKING:
    from playwright.sync_api import Page

DITHER = Image.Dither.FLOYDSTEINBERG  # photographs would show steps
_QUERY = "?min_accuracy=0.95"


def main(folder: Path, run: Path, pictures: Sequence[Path]) -> None:
    """Ask a run for some pictures, and photograph the answers, on a desk and on a phone.

    Args:
        folder: Where `serve.png` and `serve_phone.png` go.
        run: A run folder.
        pictures: What is asked about; on the phone the first of them, with the places where the network looked.
    """
    executable = pages.chromium_path()
    if executable is None:
        sys.exit("no chromium, chromium-browser or google-chrome on this machine: apt-get install chromium")
    with served(app(run)) as url, pages.open_browser(executable) as browser:
        with pages.open_page(browser) as page:
            page.set_viewport_size({"width": 1280, "height": 1150})
            _answered(page, url, pictures)
            save(page, folder / "serve.png", DITHER)
        with pages.open_page(browser) as page:
            page.set_viewport_size({"width": PHONE_PX[0], "height": 1000})
            _answered(page, url, pictures[:1])
            page.get_by_role("button", name="Where did it look?").click()
            page.locator(".heat:not([hidden])").wait_for()
            page.locator("#summary").evaluate("line => line.scrollIntoView()")
            page.evaluate("document.activeElement.blur()")
            save(page, folder / "serve_phone.png", DITHER)


def _answered(page: Page, url: str, pictures: Sequence[Path]) -> None:
    page.goto(f"{url}{_QUERY}")
    page.locator("body[data-ready]").wait_for()
    page.locator("#files").set_input_files(pictures)
    page.locator(".card[data-state=answered]").nth(len(pictures) - 1).wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)  # small copies are drawn one after the other


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("pictures", type=Path, nargs="+")
    typed = parser.parse_args()
    main(typed.folder, typed.run, typed.pictures)
