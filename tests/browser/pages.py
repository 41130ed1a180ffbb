"""The pages that people look at, opened in Chromium: a function for each goes there and asserts what must be seen.

What it leaves on the screen is what `tests.browser.screenshots` photographs.
"""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import numpy as np
from PIL import Image

from tests.browser.waiting import remember_words, wait_for_words, wait_until
from tests.helpers.dashboard_server import eventually

if TYPE_CHECKING:  # most people have no browser to test with; they read this file none the less
    from playwright.sync_api import Browser, Locator, Page

SIZE_PX = (1280, 800)
_PATIENCE_MS = 30_000


def chromium_path() -> str | None:
    """Return the system's own Chromium; none is ever downloaded."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@contextmanager
def open_browser(executable: str) -> Iterator[Browser]:
    """Start a browser that draws WebGL without a GPU; `expect` gets the patience of all else that waits."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=_PATIENCE_MS)

    words = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    if os.geteuid() == 0:
        words.append("--no-sandbox")  # Chromium refuses root otherwise
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=words)
        yield browser
        browser.close()


@contextmanager
def open_page(browser: Browser) -> Iterator[Page]:
    """Open an empty page without a past."""
    page = browser.new_page(viewport={"width": SIZE_PX[0], "height": SIZE_PX[1]})
    page.set_default_timeout(_PATIENCE_MS)
    yield page
    page.close()


def see_scalars(page: Page, url: str, tags: Sequence[str], runs: str = "") -> None:
    """See a card for each tag on the first page, and a line in it that goes across; `runs` is a part of their names."""
    from playwright.sync_api import expect

    wanted = "|".join(f"^{re.escape(tag)}$" for tag in tags)
    query = urlencode({"tagFilter": wanted, "runFilter": runs, "smoothing": 0})
    page.goto(f"{url}/?{query}#timeseries")
    cards = page.locator("scalar-card")
    for tag in tags:
        chart = cards.filter(has=page.locator(f'[title="{tag}"]')).locator("line-chart")
        chart.wait_for()
        chart.evaluate("chart => chart.scrollIntoView({block: 'center'})")  # else half of it is behind the heading
        eventually(partial(_assert_line, chart, tag))
    expect(cards).to_have_count(len(tags))
    cards.first.evaluate("card => card.scrollIntoView({block: 'center'})")


def _assert_line(chart: Locator, tag: str) -> None:
    # Axes, grid and words are grey; the columns that hold any colour are those that the line crosses.
    columns = (np.ptp(_pixels(chart), axis=2) > 20).any(axis=0)
    assert columns.mean() > 0.5, f"the line of {tag} crosses {columns.mean():.0%} of its chart"


def see_first_page(page: Page, url: str, width_px: int, tags: Sequence[str]) -> None:
    """See the cards with which TensorBoard opens, the first of them on the screen, with a line that goes across."""
    page.set_viewport_size({"width": width_px, "height": SIZE_PX[1]})
    page.goto(url)
    cards = page.locator("scalar-card")
    cards.nth(len(tags) - 1).wait_for()
    eventually(partial(_assert_on_screen, cards.first))
    for number, tag in enumerate(tags):
        card = cards.nth(number)
        card.locator(f'[title="{tag}"]').wait_for()
        eventually(partial(_assert_line, card.locator("line-chart"), tag))


def _assert_on_screen(card: Locator) -> None:
    place = card.evaluate("card => card.getBoundingClientRect().bottom")
    assert place <= SIZE_PX[1], f"the first card ends at {place}"


def see_images(page: Page, url: str, run: str, expected: Mapping[str, bytes]) -> None:
    """See the pictures of some tags on the Images page, the very ones that the run wrote."""
    tags = "|".join(f"^{tag}$" for tag in expected)
    page.goto(f"{url}/#images&{urlencode({'tagFilter': tags, 'regexInput': run}, quote_via=quote)}")
    for tag, written in expected.items():
        card = page.locator("tf-image-loader", has=page.get_by_text(f"tag: {tag}", exact=True))
        picture = card.locator("img").first
        picture.wait_for()
        eventually(partial(_assert_loaded, picture, written))
        bytes_shown = page.request.get(str(picture.evaluate("picture => picture.src"))).body()
        assert bytes_shown == written, f"the picture of {tag} is not the one that was written"


def _assert_loaded(picture: Locator, written: bytes) -> None:
    shown = picture.evaluate("picture => picture.complete && [picture.naturalWidth, picture.naturalHeight]")
    assert shown == list(Image.open(io.BytesIO(written)).size), shown


def see_projector(page: Page, url: str, points: int, dimension: int) -> None:
    """See as many points as there are images, drawn, with its number of features."""
    page.goto(f"{url}/#projector")
    frame = page.locator("iframe").content_frame.locator("iframe").content_frame
    frame.locator(".numDataPoints", has_text=re.compile(f"^{points}$")).wait_for()
    frame.locator(".dim", has_text=re.compile(f"^{dimension}$")).wait_for()
    scatter = frame.locator("#scatter")
    eventually(partial(_assert_drawn, scatter))


def _assert_drawn(scatter: Locator) -> None:
    # The pictures of the points are neither the white of the ground nor the three colours of the axes.
    pixels = _pixels(scatter)
    share = ((pixels.max(axis=2) < 200) & (np.ptp(pixels, axis=2) < 20)).mean()
    assert share > 0.001, f"{share:.2%} of the projector is drawn"


def see_hparams(page: Page, url: str, columns: Sequence[str], row: Sequence[str]) -> None:
    """Tick settings and metrics, no others, and read their values in the table, where a run has a row."""
    page.goto(f"{url}/#hparams")
    pane, table = page.locator("tf-hparams-query-pane"), page.locator("tf-hparams-table-view")
    for name in columns:
        pane.get_by_role("checkbox", name=name, exact=True).wait_for()
    boxes = pane.locator(".hparam-checkbox, .metric-checkbox")
    for name, ticked in boxes.evaluate_all("boxes => boxes.map(box => [box.innerText.trim(), box.checked])"):
        if ticked != (name in columns):
            pane.get_by_role("checkbox", name=name, exact=True).click()
    eventually(partial(_assert_cells, table, [*columns, *row]))
    boxes.first.scroll_into_view_if_needed()


def _assert_cells(table: Locator, expected: Sequence[str]) -> None:
    cells = [text.strip() for text in table.locator("vaadin-grid-cell-content").all_inner_texts()]
    assert not set(expected) - set(cells), f"{expected} are not all among {cells}"


def see_report(page: Page, report: Path, scheme: str, expected: Sequence[str]) -> float:
    """See the report as a file, complete by itself, in a `light` or `dark` system; return its ground's light."""
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(report.as_uri(), wait_until="load")
    words = page.locator("body").inner_text()
    assert all(text in words for text in expected), f"{expected} are not all in {words}"
    wait_until(page, "document.images.length > 0 && [...document.images].every(picture => picture.naturalWidth)")
    assert all(url.startswith(("file:", "data:")) for url in asked), f"it asks for {asked}"
    assert not faults, faults
    return float(_pixels(page.locator("body"))[:5, :5].mean() / 255)


def see_report_on_a_phone(page: Page, report: Path, width_px: int = 400) -> None:
    """See that nothing of the report is cut, reaches over the edge or scrolls sideways, with everything unfolded."""
    page.set_viewport_size({"width": width_px, "height": 800})
    page.goto(report.as_uri())
    page.locator("details").evaluate_all("all => all.forEach(each => { each.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    outside = """all => all.filter(each => {
        const box = each.getBoundingClientRect();
        const cut = getComputedStyle(each).overflowX !== "visible" && each.scrollWidth > each.clientWidth + 1;
        return box.width && (cut || box.right > innerWidth + 1 || box.left < -1);
    }).map(each => each.outerHTML.slice(0, 200))"""
    found = page.locator("main *, header *, nav *").evaluate_all(outside)
    assert found == [], found[:3]


def see_contents_lead_there(page: Page, report: Path) -> None:
    """Follow each entry of the table of contents, and see its heading come to the top."""
    page.goto(report.as_uri())
    links = page.locator("nav a")
    assert links.count() >= 5
    for number in range(links.count()):
        links.nth(number).click()
        eventually(partial(_assert_there, page, str(links.nth(number).get_attribute("href"))))


def _assert_there(page: Page, target: str) -> None:
    assert page.evaluate("location.hash") == target
    top = page.locator(target).evaluate("part => part.getBoundingClientRect().top")
    at_end = page.evaluate("innerHeight + scrollY >= document.documentElement.scrollHeight - 2")
    assert abs(top) < 5 or at_end, (target, top)


def copy_a_command(page: Page, report: Path) -> str:
    """Press the copy button of the first command by the keyboard, and return what can be pasted then."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(report.as_uri())
    button = page.get_by_role("button", name="Copy").first
    remember_words(button)
    button.focus()
    page.keyboard.press("Enter")
    wait_for_words(page, "Copied")
    return str(page.evaluate("navigator.clipboard.readText()"))


def enlarge_pictures(page: Page, report: Path) -> None:
    """Open a picture by the keyboard, go to the next one and back, and close it where one was."""
    from playwright.sync_api import expect

    page.goto(report.as_uri())
    button = page.get_by_role("button", name="Enlarge: ").first
    small = button.locator("img")
    source, width = str(small.get_attribute("src")), small.evaluate("picture => picture.getBoundingClientRect().width")
    assert width >= 128, f"the first thumbnail is {width} px wide"
    button.focus()
    page.keyboard.press("Enter")
    large = page.locator("dialog img")
    large.wait_for()
    expect(large).to_have_attribute("src", source)
    eventually(partial(_assert_wider, large, 1.5 * width))
    expect(page.locator("dialog p")).to_have_text(str(large.get_attribute("alt")))
    page.keyboard.press("ArrowRight")
    expect(large).not_to_have_attribute("src", source)
    page.keyboard.press("ArrowLeft")
    expect(large).to_have_attribute("src", source)
    page.keyboard.press("Escape")
    large.wait_for(state="hidden")
    expect(button).to_be_focused()


def _assert_wider(picture: Locator, width_px: float) -> None:
    assert picture.evaluate("picture => picture.getBoundingClientRect().width") > width_px


def see_report_without_scripts(browser: Browser, report: Path) -> str:
    """Return the words of the report where scripts are off; no button that would do nothing may be there."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.get_by_role("button").count() == 0
    assert page.locator(".shot img").count() > 0
    words = page.locator("body").inner_text()
    context.close()
    return words


def _pixels(place: Locator) -> np.ndarray[tuple[int, int, int], np.dtype[np.int16]]:
    """Photograph a place: (H, W, 3), 0 to 255."""
    with Image.open(io.BytesIO(place.screenshot())) as picture:
        return np.asarray(picture.convert("RGB")).astype(np.int16)
