"""What holds for every page of tlearn: accessible, on a phone too, without faults, and nothing asked from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.browser.pages import SIZE_PX

if TYPE_CHECKING:
    from playwright.sync_api import Page

PHONE_PX = (390, 844)
_STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_ANIMATIONS_END = "Promise.all(document.getAnimations().map(each => each.finished.catch(() => null)))"


def assert_accessible(page: Page) -> None:
    """See that axe-core finds no fault in what is on the screen: light, dark, and 390 px wide, where it must fit."""
    for scheme, size in (("light", SIZE_PX), ("dark", SIZE_PX), ("light", PHONE_PX), ("dark", PHONE_PX)):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.evaluate(_ANIMATIONS_END)
        found = violations(page)
        assert not found, f"{scheme}, {size[0]} px: " + "; ".join(found)
        if size == PHONE_PX:
            assert_fits(page)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": SIZE_PX[0], "height": SIZE_PX[1]})


def violations(page: Page) -> list[str]:
    """Return what axe-core finds, each as its rule, the place and the reason."""
    from axe_playwright_python.sync_playwright import Axe

    options = {"resultTypes": ["violations"], "runOnly": {"type": "tag", "values": _STANDARDS}}
    found: list[dict[str, Any]] = Axe().run(page, options=options).response["violations"]
    return [
        f"{each['id']} at {node['target']}: {' '.join(str(node.get('failureSummary')).split())}"
        for each in found
        for node in each["nodes"][:3]
    ]


def assert_fits(page: Page) -> None:
    """See that nothing is wider than the screen."""
    width = page.evaluate("document.documentElement.scrollWidth")
    room = page.evaluate("document.documentElement.clientWidth")
    assert width <= room, f"the page is {width} px wide on a screen of {room} px"


@contextmanager
def watched(page: Page, expected: Sequence[str] = ()) -> Iterator[list[str]]:
    """See that a page asks nothing from elsewhere, breaks no policy of its own, and says no error or warning.

    Args:
        page: The page; open it inside.
        expected: Parts of lines of the console that are no fault here, such as that of a picture that is broken.

    Yields:
        The faults so far; none may be there at the end.
    """
    faults: list[str] = []

    def tell(text: str) -> None:
        if not any(part in text for part in expected):
            faults.append(text)

    def look(url: str) -> None:
        where = urlsplit(url)
        if where.hostname != "127.0.0.1" and where.scheme not in ("data", "blob"):
            tell(f"it asks for {url}")

    page.on("request", lambda request: look(request.url))
    page.on("console", lambda line: tell(line.text) if line.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: tell(str(error)))
    yield faults
    assert not faults, faults
