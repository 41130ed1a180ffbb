"""`label` from an empty list to a curve: the page on a real session, whose answers are in the folder's list at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from playwright.sync_api import expect

from tests.browser.page_checks import watched
from tests.browser.test_label_page import button, has_progressed, open_label, press, shown
from tests.helpers.dashboard_server import eventually
from tests.helpers.fake_pictures import COLOURS, picture
from tests.pages.served import free_port, served
from tlearn.analysis.pool.unlabelled_pool import UnlabelledPool
from tlearn.data.files.reading import Framing
from tlearn.data.labels.label_list import LabelList
from tlearn.pages.label.routes import label_app
from tlearn.pages.label.session import LabelSession
from tlearn.pages.server.options import ServerOptions

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
CLASSES = ("cat", "dog", "eel")
BATCH = 12


@pytest.fixture
def pool(tmp_path: Path) -> UnlabelledPool:
    """Return pictures whose names tell their class, with features that tell it nearly."""
    names = [f"{name} {number:02d}.png" for name in CLASSES for number in range(30)]
    for name in names:
        picture(name[:3], int(name[4:6])).save(tmp_path / name)
    draws = torch.Generator().manual_seed(0)
    colours = torch.tensor([COLOURS[name[:3]] for name in names]) / 100
    features = torch.cat([colours, torch.zeros(len(names), 5)], dim=1) + 0.7 * torch.randn(
        len(names), 8, generator=draws
    )
    return UnlabelledPool(tmp_path, names, features, [name.encode() for name in names], Framing(), {})


@contextmanager
def labelling(pool: UnlabelledPool, classes: tuple[str, ...] = CLASSES, port: int | None = None) -> Iterator[str]:
    session = LabelSession(pool, classes=classes, batch=BATCH)
    with served(label_app(session, ServerOptions()), ServerOptions(port=port)) as address:
        yield address
    session.settle()


def answer(page: Page, count: int) -> None:
    """Press the key that is right, picture after picture."""
    for _ in range(count):
        before = shown(page)
        press(page, str(CLASSES.index(before[:3]) + 1))
        if page.locator(".end").is_hidden():
            eventually(partial(_assert_other, page, before))


def _assert_other(page: Page, before: str) -> None:
    assert shown(page) != before


def labels_in(folder: Path) -> dict[str, str]:
    return {row.path: row.label for row in LabelList(folder).read().values()}


def rows_come(folder: Path, count: int) -> Callable[[], None]:
    def look() -> None:
        assert len(labels_in(folder)) == count

    return look


def test_two_batches_from_an_empty_list(page: Page, pool: UnlabelledPool) -> None:
    with labelling(pool, classes=()) as address, watched(page):
        page.goto(address)
        for name in CLASSES:
            page.get_by_label("Name of a class").fill(name)
            page.keyboard.press("Enter")
            page.get_by_role("listitem").get_by_text(name, exact=True).wait_for()
        page.get_by_role("button", name="Begin").click()
        page.get_by_text("typical of a cluster without a label").wait_for()
        expect(page.get_by_text("too early to say")).to_have_count(1)
        expect(page.locator("#answers .guess")).to_have_text(["", "", ""])
        answer(page, BATCH)
        page.get_by_role("button", name=f"Label the next {BATCH} pictures").click()
        page.locator("#answers .guess:not(:empty)").wait_for()  # the network proposes by now
        answer(page, BATCH)
        page.get_by_role("heading", name="Batch 2 is answered").wait_for()
        page.locator("#curve circle").nth(1).wait_for()
        page.get_by_text("The numbers").click()
        expect(page.locator("#curve tbody th").first).to_be_visible()
        expect(page.locator("#curve tbody th").first).to_have_text("10")
        eventually(rows_come(pool.root, 2 * BATCH))
    labels = labels_in(pool.root)
    assert all(name.startswith(label) for name, label in labels.items())


def test_a_new_start_goes_on_where_the_list_is(page: Page, pool: UnlabelledPool) -> None:
    port = free_port()
    with labelling(pool, port=port) as address:
        open_label(page, address)
        answer(page, 5)
        eventually(rows_come(pool.root, 5))
    page.locator(".banner").get_by_text("All answers are saved.").wait_for()
    with labelling(pool, port=port):
        page.get_by_text(f"0 of {BATCH} answered").wait_for()  # another batch, without those five
        page.get_by_text("5 labelled of 90 pictures").wait_for()
        answer(page, 1)
        eventually(rows_come(pool.root, 6))
        expect(page.locator(".banner")).to_be_hidden()


def test_two_processes_on_one_folder_lose_nothing(browser: Browser, pool: UnlabelledPool) -> None:
    context = browser.new_context()
    one, other = context.new_page(), context.new_page()
    with labelling(pool) as first, labelling(pool) as second:
        open_label(one, first)
        open_label(other, second)
        answer(one, 4)
        answer(other, BATCH)
        eventually(rows_come(pool.root, BATCH))
        one.bring_to_front()
        one.get_by_text(f"{BATCH} of {BATCH} answered").wait_for()  # the same pictures were chosen, and are answered
        press(one, "z")
        eventually(rows_come(pool.root, BATCH - 1))
        one.get_by_text(f"{BATCH - 1} of {BATCH} answered").wait_for()
    context.close()


def test_an_answer_is_in_the_list_when_the_server_is_killed(page: Page, pool: UnlabelledPool) -> None:
    with labelling(pool) as address, watched(page):
        open_label(page, address)
        name = shown(page)
        button(page, "None of these").click()
        eventually(rows_come(pool.root, 1))  # before anything ends
        assert [(row.path, row.decision) for row in LabelList(pool.root).read().values()] == [(name, "exclude")]
        has_progressed(page, "1 of 12")
