"""Photograph the page of `review`: `python -m tests.browser.review_screenshots FOLDER ADDRESS`.

ADDRESS is what ``tlearn review`` prints. Those of the documents show ants and bees of which some have a wrong label,
which a fresh clone lacks, so `make screenshots` leaves them as they are.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from tests.browser import pages
from tests.browser.screenshots import save

if TYPE_CHECKING:
    from playwright.sync_api import Page

_DECISIONS = "ppxp"


def main(folder: Path, address: str) -> None:
    """Photograph a page after four decisions, which are taken back, and its map with some pictures selected.

    Args:
        folder: Where `review.png` and `review_map.png` go.
        address: Of the page.
    """
    executable = pages.chromium_path()
    if executable is None:
        sys.exit("no chromium, chromium-browser or google-chrome on this machine: apt-get install chromium")
    with pages.open_browser(executable) as browser, pages.open_page(browser) as page:
        _opened(page, address)
        for key in _DECISIONS:
            page.keyboard.press(key)
        _settled(page)
        save(page, folder / "review.png", Image.Dither.FLOYDSTEINBERG)  # photographs would show steps
        for _ in _DECISIONS:
            page.keyboard.press("z")
        _opened(page, f"{address}?view=map")
        page.locator(".legend button").first.wait_for()
        place = page.locator("#map canvas").first.bounding_box()
        assert place is not None
        left, top, side = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2, 100
        page.mouse.move(left - side, top - side)
        page.mouse.down()
        for x, y in ((0, -side), (side, 0), (0, side), (-side, side)):
            page.mouse.move(left + x, top + y, steps=4)
        page.mouse.up()
        page.mouse.move(place["x"] + 5, place["y"] + 5)
        _settled(page)
        save(page, folder / "review_map.png", Image.Dither.FLOYDSTEINBERG)


def _opened(page: Page, address: str) -> None:
    page.goto(address)
    page.locator("body[data-ready]").wait_for()
    # Where the pictures lie on this machine is nothing for the documents.
    page.locator("#folder").evaluate("folder => { folder.textContent = folder.textContent.split('/').pop(); }")


def _settled(page: Page) -> None:
    page.wait_for_timeout(1500)  # small pictures come one after the other
    page.wait_for_load_state("networkidle")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("address")
    typed = parser.parse_args()
    main(typed.folder, typed.address)
