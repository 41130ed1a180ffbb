"""Wait for what a page comes to, and decide when it comes. For what a page shows, Playwright's `expect` waits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.helpers.dashboard_server import eventually

if TYPE_CHECKING:
    from playwright.sync_api import APIResponse, Locator, Page, Route

_TURN_MS = 20
_REMEMBER = """place => {
    window.wordsSaid = [];
    new MutationObserver(() => wordsSaid.push(place.textContent))
        .observe(place, { childList: true, characterData: true, subtree: true });
}"""


def wait_until(page: Page, what: str) -> None:
    """Wait until an expression holds; Playwright's own way evaluates text in the page, which the page forbids."""
    eventually(lambda: _assert_holds(page, what))


def _assert_holds(page: Page, what: str) -> None:
    assert page.evaluate(what), what


def wait_for_line(page: Page, lines: list[str], part: str) -> None:
    """Wait for a line with a part; what listens to the page gets its turn meanwhile."""

    def look() -> None:
        page.wait_for_timeout(_TURN_MS)
        assert any(part in line for line in lines), f"{part} is in none of {lines}"

    eventually(look)


def remember_words(place: Locator) -> None:
    """Remember each text that a place comes to have, for `wait_for_words`: some go after seconds."""
    place.evaluate(_REMEMBER)


def wait_for_words(page: Page, words: str) -> None:
    """Wait until the place of `remember_words` has said that, even if it says something else by now."""
    eventually(lambda: _assert_said(page, words))


def _assert_said(page: Page, words: str) -> None:
    said = page.evaluate("wordsSaid")
    assert words in said, said


def keep_aside(page: Page) -> None:
    """Let a page that is opened after this take itself for a tab that nobody sees: it asks for nothing by itself.

    So it learns by its next request, and by no other, that the server has ended.
    """
    page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => window.isAside ?? true })")


def bring_back(page: Page) -> None:
    """End `keep_aside`."""
    page.evaluate("window.isAside = false")


class Held:
    """Requests of a page that get their answers when the test wants it."""

    def __init__(self, page: Page, address: str | re.Pattern[str], is_answered: bool) -> None:
        self._page, self._address, self._is_answered = page, address, is_answered
        self._kept: list[tuple[Route, APIResponse | None]] = []
        page.route(address, self._keep)

    def _keep(self, route: Route) -> None:
        self._kept.append((route, route.fetch() if self._is_answered else None))

    def wait(self) -> None:
        """Wait until the page has asked."""

        def look() -> None:
            self._page.wait_for_timeout(_TURN_MS)
            assert self._kept, f"nothing was asked of {self._address}"

        eventually(look)

    def release(self) -> None:
        """Let the answers come, those of later requests at once."""
        while self._kept:
            route, response = self._kept.pop(0)
            if response is None:
                route.continue_()
            else:
                route.fulfill(response=response)
        self._page.unroute(self._address)


@contextmanager
def held(page: Page, address: str | re.Pattern[str], is_answered: bool = False) -> Iterator[Held]:
    """Hold what a page asks of an address, until it is released or the block ends.

    Args:
        page: The page.
        address: As `page.route` takes it.
        is_answered: The server answers at once, and the page gets that later, when it may be old.
    """
    made = Held(page, address, is_answered)
    try:
        yield made
    finally:
        made.release()
