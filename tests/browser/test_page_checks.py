"""The checks of pages find what they are for, and let a good page pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.responses import HTMLResponse
from starlette.routing import Route

from tests.browser.page_checks import assert_accessible, assert_fits, violations, watched
from tests.browser.waiting import wait_for_line
from tests.pages.served import served
from tlearn.pages.server.app import page_app
from tlearn.pages.server.options import ServerOptions

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
TOP = (
    '<!DOCTYPE html><html lang="en"><head><title>A page</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
    '<link rel="stylesheet" href="/static/report.css"><link rel="stylesheet" href="/static/page.css"></head><body>'
)
GOOD = TOP + "<main><h1>A page</h1><button>Keep</button></main></body></html>"
BAD = TOP + '<main><h1>A page</h1><button></button><img src="data:,"></main></body></html>'
WIDE = TOP + '<main><h1>A page</h1><label>Text <textarea cols="200"></textarea></label></main></body></html>'


def served_page(text: str):  # type: ignore[no-untyped-def]  # a context manager
    async def answer(request: object) -> HTMLResponse:
        return HTMLResponse(text)

    return served(page_app([Route("/", answer)], ServerOptions()))


def test_a_good_page_passes(page: Page) -> None:
    with served_page(GOOD) as address, watched(page):
        page.goto(address)
        assert_accessible(page)


def test_what_is_not_accessible_is_named(page: Page) -> None:
    with served_page(BAD) as address:
        page.goto(address)
        found = " ".join(violations(page))
        assert "button-name" in found
        assert "image-alt" in found
        with pytest.raises(AssertionError, match=r"light, 1280 px: .*button-name"):
            assert_accessible(page)


def test_what_is_wider_than_a_phone_is_named(page: Page) -> None:
    with served_page(WIDE) as address:
        page.set_viewport_size({"width": 390, "height": 800})
        page.goto(address)
        with pytest.raises(AssertionError, match="px wide on a screen of 390 px"):
            assert_fits(page)


@pytest.mark.parametrize(
    ("inside", "fault"),
    [
        ("<script>document.title = 'changed'</script>", "script-src"),
        ("<p style='color: red'>text</p>", "style-src"),
        ("<img alt='' src='http://192.0.2.1/x.png'>", "img-src"),
        ("<iframe title='x' src='http://192.0.2.1/'></iframe>", "default-src"),
        ("<img alt='' src='/missing.png'>", "404"),
    ],
)
def test_what_breaks_the_policy_is_seen(page: Page, inside: str, fault: str) -> None:
    with (
        served_page(GOOD.replace("</main>", f"{inside}</main>")) as address,
        pytest.raises(AssertionError, match=fault),
    ):
        _go_watched(page, address, fault)
    assert page.title() == "A page"


def _go_watched(page: Page, address: str, fault: str) -> None:
    with watched(page) as faults:
        page.goto(address)
        wait_for_line(page, faults, fault)
