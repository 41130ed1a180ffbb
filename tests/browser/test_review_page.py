"""The page of `review` as people use it: keys, mouse, phone, two tabs, reload, a server that ends, hostile names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.page_checks import PHONE_PX, assert_accessible, assert_fits, watched
from tests.browser.waiting import held, remember_words, wait_until
from tests.helpers.dashboard_server import eventually
from tests.helpers.review.fake_pool import fake_pool
from tests.pages.served import free_port, served
from tlearn.data.labels.label_list import LabelList
from tlearn.pages.review.json_types import Filters
from tlearn.pages.review.routes import review_app
from tlearn.pages.review.session import SOLVED_EVERY, ReviewSession
from tlearn.pages.server.options import ServerOptions

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

    from tests.browser.waiting import Held

pytestmark = pytest.mark.browser
CLASSES = ["cat", "dog", "eel"]
HOSTILE = ['<img src=x onerror="alert(1)">', "'\"><script>alert(2)</script>", "a class with a very long name " * 6]


def made_session(folder: Path, count: int = 40, class_names: list[str] | None = None) -> ReviewSession:
    """`count` pictures of each class; every tenth has the label of the class that follows."""
    wrong = tuple(row for row in range(len(CLASSES) * count) if row % 10 == 5)
    pool = fake_pool(folder, count, wrong)
    found = {name: ["copy of another picture with another label"] for name in pool.names if name.startswith("eel/")}
    return ReviewSession(replace(pool, class_names=class_names or CLASSES), findings=lambda: found)


def doubtful_of(session: ReviewSession) -> list[str]:
    """The names of the pictures in the order of the page."""
    return [session.pool.names[row] for row in session.order()["ids"]]


def kinds_of(session: ReviewSession) -> dict[str, str]:
    """What the list of labels has: names to decisions."""
    return {name: each.decision for name, each in LabelList(session.pool.root).read().items()}


@contextmanager
def opened(page: Page, session: ReviewSession, query: str = "") -> Iterator[str]:
    with served(review_app(session, ServerOptions())) as address, watched(page):
        go(page, address + query)
        yield address


def go(page: Page, address: str) -> None:
    page.goto(address)
    page.locator("body[data-ready]").wait_for()
    expect(page.locator("#label")).not_to_be_empty()


def all_sent(page: Page) -> None:
    """Wait until the server has what was decided."""

    def look() -> None:
        assert page.evaluate("sessionStorage['tlearn-review'] ?? '[]'") == "[]"

    eventually(look)


def release_and_look(page: Page, answer: Held) -> None:
    """Let answers come, and wait until the page has taken them: it looks at the server again, as every two seconds."""
    with page.expect_request("**/api/state"):
        answer.release()


def _assert_address(page: Page, part: str) -> None:
    assert part in page.evaluate("location.search")


def classes(page: Page) -> Locator:
    return page.get_by_role("dialog").get_by_role("option")


def chooser(page: Page) -> Locator:
    return page.get_by_role("dialog").get_by_role("combobox")


def place(page: Page) -> Locator:
    return page.locator("#place")


def name(page: Page) -> Locator:
    return page.locator("#name")


def map_is_drawn(page: Page) -> None:
    """Wait until the map has its pictures, and is as large as its place."""
    expect(page.get_by_role("button", name="select 40 labelled cat")).to_be_visible()
    expect(page.get_by_text("The map is being made")).to_be_hidden()
    canvas = "document.querySelector('#map canvas')"
    wait_until(page, f"{canvas}.width === {canvas}.clientWidth * devicePixelRatio && {canvas}.clientWidth > 0")


def test_the_first_screen_says_all_and_is_accessible(page: Page, tmp_path: Path) -> None:
    session = made_session(tmp_path)
    first = session.items(count=1)["items"][0]
    with opened(page, session) as address:
        said, label = first["proposal"], first["label"]
        expect(page.locator(".verdict")).to_have_text(
            re.compile(rf"Labelled {label}. The network says {said}\s+\(.*%\)")
        )
        expect(page.locator("#neighbours li")).to_have_text([said or ""] * 3)
        named = [f"Keep {label}", f"Change to {said}", "Another class…", "Leave out", "Unsure", "Undo"]
        expect(page.locator("#actions button > span:first-child")).to_have_text(named)
        expect(page.locator("#actions button > kbd:last-child")).to_have_text(list("KPCXUZ"))
        expect(page.locator("#score")).to_have_text(
            re.compile(r"now 90\.0 % .*, 100\.0 % if the likely wrong .*About 12 more pictures are worth looking at")
        )
        wait_until(page, "document.querySelector('#picture img').getBoundingClientRect().width > 400")
        # The most doubtful picture that is labelled cat shows an eel. `page.url` would not do: the page writes its
        # place there.
        go(page, f"{address}?class=cat")
        expect(page.locator("#findings")).to_have_text("copy of another picture with another label")
        assert_accessible(page)


def test_each_key_decides_and_goes_on(page: Page, tmp_path: Path) -> None:
    session = made_session(tmp_path)
    names, first = doubtful_of(session), session.items(count=4)["items"]
    with opened(page, session):
        for number, key in enumerate(["k", "Enter", "p", "Space", "x", "u"], start=2):
            page.keyboard.press(key)
            expect(place(page)).to_have_text(f"{number} of 120")
        expect(page.locator("#counts")).to_have_text("6 of 120 decided · 2 changed · 1 left out · 1 unsure · 2 kept")
        all_sent(page)
        kinds = ["keep", "keep", "change", "change", "exclude", "unsure"]
        assert kinds_of(session) == dict(zip(names[:6], kinds, strict=True))
        assert LabelList(tmp_path).read()[names[2]].label == first[2]["proposal"]
        page.keyboard.press("z")
        expect(place(page)).to_have_text("6 of 120")
        page.keyboard.press("Control+z")
        expect(place(page)).to_have_text("5 of 120")
        all_sent(page)
        assert kinds_of(session) == dict(zip(names[:4], kinds[:4], strict=True))
        page.keyboard.press("ArrowLeft")
        changed = f"changed to {first[3]['proposal']}"
        expect(place(page)).to_have_text("4 of 120")
        expect(page.locator("#decided")).to_have_text(changed)
        page.keyboard.press("k")  # another decision on the same picture
        expect(place(page)).to_have_text("5 of 120")
        page.keyboard.press("z")  # takes back only that
        expect(place(page)).to_have_text("4 of 120")
        expect(page.locator("#decided")).to_have_text(changed)
        all_sent(page)
        assert kinds_of(session)[names[3]] == "change"


def test_no_key_waits_for_what_the_page_knows_and_no_old_answer_replaces_a_decision(page: Page, tmp_path: Path) -> None:
    session = made_session(tmp_path)
    names = doubtful_of(session)
    with opened(page, session):
        page.keyboard.press("p")
        expect(place(page)).to_have_text("2 of 120")
        with held(page, re.compile(r"/api/pictures\?count=1&ids=\d+$"), is_answered=True) as answer:
            page.keyboard.press("z")
            answer.wait()  # the picture is asked for anew
            page.keyboard.press("k")
            page.keyboard.press("x")
            expect(place(page)).to_have_text("3 of 120")
            all_sent(page)
            release_and_look(page, answer)
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#decided")).to_have_text("left out")
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#decided")).to_have_text("kept")
    assert kinds_of(session) == dict(zip(names[:2], ["keep", "exclude"], strict=True))


def test_keys_that_come_before_the_pictures_go_to_one_after_the_other(page: Page, tmp_path: Path) -> None:
    session = made_session(tmp_path, count=120)
    names = doubtful_of(session)
    with opened(page, session):
        page.locator(".tile.current").wait_for()
        with held(page, "**/api/pictures*") as answer:
            page.keyboard.press("End")
            answer.wait()
            expect(place(page)).to_have_text("360 of 360")
            expect(name(page)).to_be_empty()  # not that of another picture
            for key in "xzxk":
                page.keyboard.press(key)
        expect(page.locator("#counts")).to_have_text("2 of 360 decided · 1 left out · 1 kept")
        expect(place(page)).to_have_text("2 of 360")
        all_sent(page)
    assert kinds_of(session) == {names[-1]: "exclude", names[0]: "keep"}


def test_a_class_goes_to_the_picture_for_which_it_was_asked(page: Page, tmp_path: Path) -> None:
    """An undo that is on its way while somebody types brings another picture."""
    session = made_session(tmp_path)
    names = doubtful_of(session)
    with opened(page, session) as address:
        page.keyboard.press("p")
        expect(name(page)).to_have_text(names[1])  # only now it is given to be sent
        all_sent(page)
        go(page, address)
        expect(name(page)).to_have_text(names[1])
        with held(page, "**/api/undo") as undo:
            page.keyboard.press("z")
            undo.wait()
            page.keyboard.press("c")
            chooser(page).type("axolotl")
        expect(name(page)).to_have_text(names[0])
        page.keyboard.press("Enter")
        expect(page.locator("#counts")).to_have_text("1 of 120 decided · 1 changed")
        expect(name(page)).to_have_text(names[0])
        all_sent(page)
    assert kinds_of(session) == {names[1]: "change"}


def test_what_the_server_said_before_a_decision_is_not_shown_after_it(page: Page, tmp_path: Path) -> None:
    session = made_session(tmp_path)
    with opened(page, session):
        with held(page, "**/api/state", is_answered=True) as look:
            look.wait()
            page.keyboard.press("c")
            chooser(page).type("axolotl")
            page.keyboard.press("Enter")
            expect(place(page)).to_have_text("2 of 120")
            all_sent(page)
            remember_words(page.locator("#counts"))
            release_and_look(page, look)
        page.keyboard.press("c")
        expect(classes(page).filter(has_text=re.compile("^axolotl$"))).to_have_count(1)
        assert page.evaluate("wordsSaid") == []


def test_another_class_is_typed_and_a_new_one_can_be_made(page: Page, tmp_path: Path) -> None:
    session = made_session(tmp_path)
    names = doubtful_of(session)
    with opened(page, session, "?class=dog"):
        names = [session.pool.names[row] for row in session.order(Filters(label="dog"))["ids"]]
        page.keyboard.press("c")
        chooser(page).type("ee")
        expect(classes(page).filter(has_text=re.compile("^eel$"))).to_have_attribute("aria-selected", "true")
        assert_accessible(page)
        page.keyboard.press("Enter")
        expect(place(page)).to_have_text("2 of 40")
        page.keyboard.press("c")
        chooser(page).type("axolotl")
        classes(page).filter(has_text="new class: axolotl").click()
        expect(place(page)).to_have_text("3 of 40")
        page.keyboard.press("c")
        expect(chooser(page)).to_be_focused()
        page.keyboard.press("Escape")
        expect(chooser(page)).to_have_count(0)
        all_sent(page)
        labels = {name: (each.decision, each.label) for name, each in LabelList(tmp_path).read().items()}
        assert labels == {names[0]: ("change", "eel"), names[1]: ("change", "axolotl")}
        page.keyboard.press("c")
        expect(classes(page).filter(has_text=re.compile("^axolotl$"))).to_have_count(1)


def test_many_are_selected_by_the_mouse_and_decided_at_once(page: Page, tmp_path: Path) -> None:
    session = made_session(tmp_path)
    with opened(page, session):
        tiles = page.locator(".tile")
        tiles.nth(2).click()
        expect(place(page)).to_have_text("3 of 120")
        tiles.nth(6).click(modifiers=["Shift"])
        expect(page.locator("#selected-count")).to_have_text("5 selected")
        tiles.nth(3).click(modifiers=["Control"])
        expect(page.locator("#selected-count")).to_have_text("4 selected")
        assert_accessible(page)
        page.locator("#selection").get_by_role("button", name="As the network says").click()
        expect(page.locator(".toast")).to_contain_text("4 pictures changed")
        expect(page.locator("#counts")).to_contain_text("4 changed")
        page.get_by_role("button", name="Undo").last.click()
        expect(page.locator("#counts")).to_have_text("0 of 120 decided")
        page.keyboard.press("Control+a")
        page.keyboard.press("x")
        expect(page.get_by_role("dialog")).to_contain_text("120 pictures: leave out?")
        page.get_by_role("button", name="No", exact=True).click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.keyboard.press("x")
        page.get_by_role("button", name="Yes, all 120").click()
        expect(page.locator("#counts")).to_contain_text("120 left out")


def test_a_reload_in_the_middle_comes_back_to_the_same_place(page: Page, tmp_path: Path) -> None:
    session = made_session(tmp_path)
    fifth = session.order(Filters(label="dog"))["ids"][4]
    with opened(page, session):
        page.keyboard.press("f")
        page.get_by_label("Labelled").select_option("dog")
        expect(place(page)).to_have_text("1 of 40")
        page.keyboard.press("Escape")
        for key in ["p", "p", "ArrowRight", "ArrowRight"]:
            page.keyboard.press(key)
        expect(place(page)).to_have_text("5 of 40")
        eventually(partial(_assert_address, page, f"at={fifth}"))
        expect(name(page)).to_have_text(session.pool.names[fifth])
        words = page.locator(".verdict").inner_text()
        all_sent(page)
        page.reload()
        page.locator("body[data-ready]").wait_for()
        expect(place(page)).to_have_text("3 of 38")  # the two that were decided are left out now
        expect(name(page)).to_have_text(session.pool.names[fifth])
        expect(page.locator(".verdict")).to_have_text(words, use_inner_text=True)
        page.keyboard.press("z")  # also what was decided before the reload
        expect(page.locator("#counts")).to_contain_text("1 of 120 decided")
        assert_accessible(page)


def test_two_tabs_see_each_other_and_lose_nothing(browser: Browser, tmp_path: Path) -> None:
    session = made_session(tmp_path)
    first, second = browser.new_page(), browser.new_page()
    with opened(first, session) as address, watched(second):
        go(second, address + "?decided=all")
        first.keyboard.press("p")
        second.bring_to_front()
        expect(second.locator("#counts")).to_have_text("1 of 120 decided · 1 changed")
        expect(second.locator("#decided")).to_have_text(re.compile("changed to"))
        second.keyboard.press("ArrowRight")
        second.keyboard.press("x")
        first.bring_to_front()
        expect(first.locator("#counts")).to_have_text("2 of 120 decided · 1 changed · 1 left out")
    assert kinds_of(session) == dict(zip(doubtful_of(session)[:2], ["change", "exclude"], strict=True))
    first.close()
    second.close()


def test_a_new_order_leaves_the_picture_under_the_hand(page: Page, tmp_path: Path) -> None:
    session = made_session(tmp_path)
    last = doubtful_of(session)[SOLVED_EVERY]
    with opened(page, session):
        version = session.state()["version"]
        for number in range(2, SOLVED_EVERY + 2):
            page.keyboard.press("p")
            expect(place(page)).to_have_text(f"{number} of 120")
        expect(name(page)).to_have_text(last)
        all_sent(page)
        session.wait()
        assert session.state()["version"] == version + 1
        # The next poll brings the new score; the order behind the picture is the session's, and it stays where it is.
        expect(page.locator("#score")).to_contain_text("Accuracy now 100.0 %")
        expect(place(page)).to_have_text(f"{SOLVED_EVERY + 1} of 120")
        expect(name(page)).to_have_text(last)
        waiting = [row for row in session.order(Filters(decided="no"))["ids"] if session.pool.names[row] != last]
        expect(page.locator(f"#tile-{waiting[0]}")).to_have_attribute("aria-posinset", str(SOLVED_EVERY + 2))
        page.keyboard.press("ArrowRight")
        expect(name(page)).to_have_text(session.pool.names[waiting[0]])


def test_a_key_after_a_filter_chosen_by_the_mouse_is_a_decision(page: Page, tmp_path: Path) -> None:
    session = made_session(tmp_path)
    with opened(page, session):
        page.get_by_role("button", name="Filters").click()
        page.get_by_label("only where the network says another class").click()
        expect(place(page)).to_have_text("1 of 12")
        choice = page.get_by_label("Labelled")
        choice.dispatch_event("pointerdown")
        choice.select_option("dog")
        expect(place(page)).to_have_text("1 of 4")
        page.keyboard.press("k")
        expect(page.locator("#counts")).to_have_text("1 of 120 decided · 1 kept")
        expect(choice).to_have_value("dog")


def test_of_filters_that_are_chosen_quickly_the_last_holds(page: Page, tmp_path: Path) -> None:
    session = made_session(tmp_path)
    with opened(page, session):
        page.keyboard.press("f")
        with held(page, re.compile(r"/api/order\?.*class=dog"), is_answered=True) as answer:
            page.get_by_label("Labelled").select_option("dog")
            answer.wait()
            page.get_by_label("Labelled").select_option("cat")
            expect(place(page)).to_have_text(re.compile("of 40$"))
            expect(page.locator("#label")).to_have_text("cat")
            release_and_look(page, answer)
        expect(page.locator("#label")).to_have_text("cat")
        expect(page.get_by_label("Labelled")).to_have_value("cat")


def test_several_are_selected_by_the_keyboard(page: Page, tmp_path: Path) -> None:
    session = made_session(tmp_path)
    names = doubtful_of(session)
    with opened(page, session):
        page.keyboard.press("s")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        expect(page.locator("#selected-count")).to_have_text("3 selected")
        expect(place(page)).to_have_text("3 of 120")
        page.keyboard.press("x")
        expect(page.locator("#selected-count")).to_be_empty()
        all_sent(page)
    assert kinds_of(session) == dict.fromkeys(names[:3], "exclude")


def test_what_is_pressed_while_the_server_is_away_is_kept(page: Page, tmp_path: Path) -> None:
    session = made_session(tmp_path)
    app = review_app(session, ServerOptions())
    with watched(page, ["ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE"]):
        port = free_port()
        with served(app, ServerOptions(port=port)) as address:
            go(page, address)
        page.keyboard.press("p")
        page.keyboard.press("x")
        expect(page.locator(".banner")).to_contain_text("2 decisions of this page wait")
        expect(place(page)).to_have_text("3 of 120")
        assert kinds_of(session) == {}
        with page.expect_event("requestfailed", lambda request: request.url.endswith("/api/state")):
            pass
        with held(page, "**/api/decisions") as sending, served(app, ServerOptions(port=port)):
            sending.wait()
            for _ in range(2):  # before the second, the page knows that the server is there
                page.wait_for_event("request", lambda request: request.url.endswith("/api/state"))
            expect(page.locator(".banner")).to_contain_text("2 decisions of this page wait")
            expect(page.locator(".banner")).to_be_visible()
            sending.release()
            expect(page.locator(".banner")).to_be_hidden()
            expect(page.locator("#counts")).to_have_text("2 of 120 decided · 1 changed · 1 left out")
            assert page.evaluate("sessionStorage['tlearn-review']") == "[]"
    assert kinds_of(session) == dict(zip(doubtful_of(session)[:2], ["change", "exclude"], strict=True))


def test_a_key_never_goes_to_another_picture_that_a_new_start_shows(page: Page, tmp_path: Path) -> None:
    session, other = made_session(tmp_path / "one"), made_session(tmp_path / "two", 30)
    with watched(page, ["ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "400"]):
        port = free_port()
        with served(review_app(session, ServerOptions()), ServerOptions(port=port)) as address:
            go(page, address)
        page.keyboard.press("p")
        expect(page.locator(".banner")).to_contain_text("1 decision of this page waits")
        with served(review_app(other, ServerOptions()), ServerOptions(port=port)):
            expect(page.get_by_role("alert").filter(has_text="loaded anew")).to_be_visible()
            page.locator("body[data-ready]").wait_for()
            expect(page.locator("#counts")).to_have_text("0 of 90 decided")
            expect(name(page)).not_to_be_empty()
            seen = name(page).inner_text()
            page.keyboard.press("x")
            eventually(lambda: _assert_kinds(other, {seen: "exclude"}))
    assert kinds_of(session) == {}


def _assert_kinds(session: ReviewSession, expected: dict[str, str]) -> None:
    assert kinds_of(session) == expected


def test_the_map_relabels_what_the_lasso_holds(page: Page, tmp_path: Path) -> None:
    session = made_session(tmp_path)
    with opened(page, session):
        page.keyboard.press("m")
        map_is_drawn(page)
        assert_accessible(page)
        map_is_drawn(page)  # at its first size again
        corners, inside = _round_the_cats(page, session)
        page.mouse.move(*corners[0])
        page.mouse.down()
        for corner in [*corners[1:], corners[0]]:
            page.mouse.move(*corner, steps=6)
        page.mouse.up()
        expect(page.locator("#selected-count")).to_have_text(f"{len(inside)} selected")
        page.keyboard.press("c")
        chooser(page).type("eel")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_contain_text(f"{len(inside)} pictures: change to eel?")
        expect(page.get_by_role("dialog")).to_contain_text("36 labelled cat")
        assert_accessible(page)
        page.get_by_role("button", name=f"Yes, all {len(inside)}").click()
        expect(page.locator("#counts")).to_contain_text(f"{len(inside)} of 120 decided")
        expect(page.get_by_role("button", name=re.compile("labelled cat"))).not_to_have_attribute(
            "aria-label", "select 40 labelled cat"
        )
    decided = LabelList(tmp_path).read()
    assert set(decided) == {session.pool.names[row] for row in inside}
    assert {each.label for each in decided.values()} == {"eel"}


def _round_the_cats(page: Page, session: ReviewSession) -> tuple[list[tuple[float, float]], list[int]]:
    """Return the corners of a box on the screen round all that look like cats, and what else lies in it too."""
    box = page.locator("#map canvas").first.bounding_box()
    assert box is not None
    side = min(box["width"], box["height"]) * 0.9
    left, top = box["x"] + (box["width"] - side) / 2, box["y"] + (box["height"] - side) / 2
    places = list(zip(session.map()["x"], session.map()["y"], strict=True))
    low = [min(place[axis] for place in places[:40]) - 0.02 for axis in (0, 1)]
    high = [max(place[axis] for place in places[:40]) + 0.02 for axis in (0, 1)]
    inside = [row for row, (x, y) in enumerate(places) if low[0] < x < high[0] and low[1] < y < high[1]]
    corners = [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]
    return [(left + x * side, top + y * side) for x, y in corners], inside


def test_the_map_is_used_by_the_keyboard(page: Page, tmp_path: Path) -> None:
    session = made_session(tmp_path)
    with opened(page, session, "?view=map"):
        map_is_drawn(page)
        box = page.get_by_role("application").bounding_box()
        assert box is not None
        side = min(box["width"], box["height"]) * 0.9
        places = session.map()
        page.get_by_role("application").focus()
        for shares, back, on in ((places["x"], "ArrowLeft", "ArrowRight"), (places["y"], "ArrowUp", "ArrowDown")):
            steps = round((shares[0] - 0.5) * side / 14)
            for _ in range(abs(steps)):
                page.keyboard.press(on if steps > 0 else back)
        page.keyboard.press("Space")
        expect(page.locator("#selected-count")).to_have_text(re.compile(r"^\d+ selected$"))
        expect(page.locator(".card")).to_be_visible()
        page.keyboard.press("Backspace")
        expect(page.locator("#selected-count")).to_be_empty()
        page.keyboard.press("Enter")
        expect(page.locator("#one")).to_be_visible()


def test_hostile_names_are_text(page: Page, tmp_path: Path) -> None:
    session = made_session(tmp_path, class_names=HOSTILE)
    asked: list[str] = []
    page.on("dialog", lambda dialog: asked.append(dialog.message))
    with opened(page, session):
        first = session.items(count=1)["items"][0]
        expect(page.locator("#label")).to_have_text(first["label"].strip())
        expect(page.locator("#proposal")).to_have_text((first["proposal"] or "").strip())
        assert_accessible(page)
        page.keyboard.press("c")
        expect(classes(page)).to_have_count(3)
        page.keyboard.press("Escape")
        expect(classes(page)).to_have_count(0)
        page.keyboard.press("f")
        expect(page.locator("#filters")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#filters")).to_be_hidden()
        page.keyboard.press("m")
        expect(page.locator(".legend button").first).to_contain_text(HOSTILE[0])
        assert_accessible(page)
    assert asked == []


def test_on_a_phone_the_buttons_lie_at_the_bottom(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context(
        viewport={"width": PHONE_PX[0], "height": PHONE_PX[1]}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    session = made_session(tmp_path)
    with opened(page, session):
        assert_fits(page)
        for button in page.locator("#actions button").all():
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 44
            assert box["y"] + box["height"] <= PHONE_PX[1]
        page.locator("#change").tap()
        expect(page.locator("#counts")).to_contain_text("1 changed")
        page.locator("#undo").tap()
        expect(page.locator("#counts")).to_have_text("0 of 120 decided")
        page.locator("#show-map").tap()
        map_is_drawn(page)
        assert_fits(page)
    context.close()


def test_ten_thousand_pictures_are_not_ten_thousand_elements(page: Page, tmp_path: Path) -> None:
    session = made_session(tmp_path, count=3334)
    with opened(page, session):
        expect(place(page)).to_have_text("1 of 10,002")
        expect(page.locator(".tile.current .labels")).not_to_be_empty()
        assert page.locator(".tile").count() < 200
        page.keyboard.press("End")
        expect(place(page)).to_have_text("10,002 of 10,002")
        last = session.items(start=10_001)["items"][0]
        expect(page.locator(".tile.current .labels")).to_have_text(last["label"])
        assert page.locator(".tile").count() < 200
