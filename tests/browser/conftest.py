"""One Chromium for the tests of a file, and a page of it for each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser import pages

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -e '.[dev]'")
    executable = pages.chromium_path()
    if executable is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on this machine: apt-get install chromium")
    with pages.open_browser(executable) as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with pages.open_page(browser) as opened:
        yield opened
