"""The page of `serve` as people use it: choose, drop and paste pictures, correct an answer, take all of them along."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.page_checks import PHONE_PX, assert_accessible, assert_fits, watched
from tests.browser.waiting import remember_words, wait_for_words, wait_until
from tests.helpers.made_run import HOSTILE
from tests.helpers.serve_page.fake_serve import FakeServe
from tests.pages.served import free_port, served
from tlearn.pages.server.options import ServerOptions

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FilePayload, Locator, Page, ViewportSize

pytestmark = pytest.mark.browser
PHONE: ViewportSize = {"width": PHONE_PX[0], "height": PHONE_PX[1]}


def picture(name: str, kind: str = "JPEG") -> FilePayload:
    with io.BytesIO() as file:
        Image.radial_gradient("L").convert("RGB").resize((320, 240)).save(file, kind)
        return {"name": name, "mimeType": "" if kind == "TIFF" else f"image/{kind.lower()}", "buffer": file.getvalue()}


def open_page(page: Page, url: str, query: str = "") -> None:
    page.goto(f"{url}{query}")
    page.locator("body[data-ready]").wait_for()


def choose(page: Page, names: Sequence[str]) -> None:
    cards = page.locator(".card")
    count = cards.count() + len(names)
    page.locator("#files").set_input_files([picture(name) for name in names])
    expect(cards).to_have_count(count)
    expect(page.locator(".card[data-state=waiting], .card[data-state=asking]")).to_have_count(0)


def table(page: Page) -> list[list[str]]:
    """Download all answers, and return the rows, the header first."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    assert download.value.suggested_filename == "predictions.csv"
    text = download.value.path().read_bytes().decode()
    assert text.endswith("\r\n")
    return list(csv.reader(io.StringIO(text, newline="")))


def card(page: Page, name: str) -> Locator:
    return page.locator(".card").filter(has=page.get_by_role("heading", name=name, exact=True))


def says(place: Locator, *parts: str) -> None:
    """See what a place says on the screen, as soon as it does."""
    for part in parts:
        expect(place).to_contain_text(part, use_inner_text=True)


def hand_over(page: Page, event: str, names: Sequence[str]) -> None:
    """Drop or paste pictures, as a file manager or a screenshot program does."""
    made = [[name, base64.b64encode(picture(name)["buffer"]).decode()] for name in names]
    page.evaluate(
        """([event, made]) => {
            const transfer = new DataTransfer();
            for (const [name, text] of made) {
                const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
                transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
            }
            const flow = { bubbles: true, cancelable: true };
            const happening = event === "paste" ? new ClipboardEvent("paste", { ...flow, clipboardData: transfer })
                : new DragEvent(event, { ...flow, dataTransfer: transfer });
            document.body.dispatchEvent(happening);
        }""",
        [event, made],
    )
    page.locator(".card[data-state=answered]").nth(len(names) - 1).wait_for()


@contextmanager
def opened(page: Page, fake: FakeServe, query: str = "") -> Iterator[str]:
    """Open the page on a server; the console stays empty, and nothing is asked from elsewhere."""
    with served(fake.app()) as url, watched(page):
        open_page(page, url, query)
        yield url


def test_chosen_pictures_are_answered_at_once(page: Page) -> None:
    fake = FakeServe()
    with opened(page, fake):
        trained = "Trained on 2026-11-29 with 244 pictures; test accuracy 96.1 % [91.7, 98.2], 147 of 153 test images"
        says(page.locator("#runs"), "efficientnet_lite0 at 128 px", trained)
        choose(page, ["ants 1.jpg", "bees 2.jpg", "unsure 3.jpg", "broken 4.jpg"])
        expect(page.locator("#summary")).to_have_text("3 pictures: ants 2, bees 1; 1 picture could not be read.")
        unsure = card(page, "unsure 3.jpg")
        says(unsure, "ants 58 %", "of 100 answers as sure as this, about 58 are right")
        says(unsure, "One of these, in 90 of 100 pictures:\n\nants\nbees\n")
        says(unsure, "it looks stranger than 42 of 100 held-out pictures")
        expect(unsure.locator(".nearest img")).to_have_count(5)
        unsure.locator(".nearest").scroll_into_view_if_needed()  # they are fetched when they are seen
        for number in range(5):
            expect(unsure.locator(".nearest img").nth(number)).to_have_js_property("naturalWidth", 64)
        says(card(page, "broken 4.jpg"), "broken or cut short: image file is truncated")
        expect(unsure.locator(".classes .meter i").first).to_have_attribute("style", "width: 58%;")
        assert fake.queries == [{"top_k": "5", "coverage": "0.9", "unknown": "true", "nearest": "5"}]


def test_nothing_is_promised_of_a_stranger_or_without_a_measure(page: Page) -> None:
    fake = FakeServe()
    with opened(page, fake):
        choose(page, ["stranger.jpg"])
        stranger = card(page, "stranger.jpg")
        says(stranger, "The surest class would be ants (97 %).", "Answer set, of which nothing is promised here:")
        words = stranger.inner_text()
        assert words.count("Like none of the training pictures.") == 1
        assert "of 100 pictures" not in words.replace("99 of 100 held-out", "")
        page.get_by_text("Settings: answer sets at 90 %, strangers unknown").click()
        page.get_by_label('Pictures like none of the training pictures are "unknown"').uncheck()
        stranger.get_by_text("not measured on pictures like this one").wait_for()
        expect(stranger).not_to_contain_text("answers as sure as this")
        expect(page).to_have_url(re.compile(r"/\?unknown=false$"))
        assert "unknown" not in fake.queries[-1]
    with opened(page, FakeServe(health={"coverage": False, "min_accuracy": False, "strangers": False})):
        choose(page, ["ants.jpg"])
        says(card(page, "ants.jpg"), "this run could not measure")
        expect(card(page, "ants.jpg")).not_to_contain_text("stranger")
        says(page.locator("#settings-now"), "no answer sets, strangers not told")


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_pictures_are_dropped_and_pasted(page: Page, event: str) -> None:
    with opened(page, FakeServe()):
        hand_over(page, event, ["bees 1.jpg", "ants 2.jpg"])
        expect(page.locator("#summary")).to_have_text("2 pictures: bees 1, ants 1.")


def test_what_no_browser_shows_is_shown_by_the_server(page: Page) -> None:
    with opened(page, FakeServe()):
        page.locator("#files").set_input_files([picture("a.tif", "TIFF"), picture("broken.tif") | {"buffer": b"II*\0"}])
        wait_until(page, "document.querySelector('.picture')?.naturalWidth === 320")
        card(page, "broken.tif").get_by_text("No preview.").wait_for()


def test_settings_stay_in_the_address_and_ask_anew(page: Page) -> None:
    fake = FakeServe()
    with opened(page, fake):
        choose(page, ["unsure ants.jpg", "stranger.jpg"])
        page.get_by_text("Settings: answer sets at 90 %").click()
        page.get_by_label("Percent of the answers given that are right").fill("99.5")
        page.get_by_label("Percent of the answers given that are right").press("Tab")
        card(page, "unsure ants.jpg").get_by_text("Less sure than 99.5 % accuracy needs.").wait_for()
        card(page, "stranger.jpg").get_by_text("Like none of the training pictures.").wait_for()
        says(card(page, "stranger.jpg"), "The surest class would be ants (97 %).")
        expect(page.locator("#summary")).to_have_text("2 pictures: unknown 2.")
        expect(page).to_have_url(re.compile(r"/\?min_accuracy=0\.995$"))
        page.reload()
        page.locator("body[data-ready]").wait_for()
        choose(page, ["stranger.jpg"])
        asked = {"top_k": "5", "coverage": "0.9", "min_accuracy": "0.995", "unknown": "true", "nearest": "5"}
        assert fake.queries[-1] == asked


def test_where_it_looked_is_laid_over_for_any_class(page: Page) -> None:
    with opened(page, FakeServe()):
        choose(page, ["ants.jpg"])
        page.get_by_role("button", name="Where did it look?").click()
        heat = page.get_by_role("img", name="Where the network looked for ants (97 %)")
        heat.wait_for()
        expect(heat).to_have_css("opacity", "0.6")
        strength = page.get_by_role("slider", name="Strength of the overlay in percent")
        strength.press("Home")
        expect(heat).to_have_css("opacity", "0")
        page.get_by_label("Which answer is explained").select_option(label="bees (2 %)")
        page.get_by_role("img", name="Where the network looked for bees (2 %)").wait_for()
        page.get_by_role("button", name="Hide").click()
        expect(page.locator(".heat")).to_have_count(0)
        expect(page.get_by_role("button", name="Where did it look?")).to_be_focused()


def test_a_correction_is_kept_by_the_keyboard_and_taken_back(page: Page) -> None:
    fake = FakeServe()
    with opened(page, fake):
        choose(page, ["one.jpg", "two.jpg"])
        page.keyboard.press("j")
        page.keyboard.press("j")
        expect(card(page, "two.jpg")).to_be_focused()
        page.keyboard.press("c")
        expect(page.get_by_role("combobox", name="What is")).to_be_focused()
        page.keyboard.type("wa")
        page.keyboard.press("Enter")
        card(page, "two.jpg").get_by_text("Kept for review: wasps, version_0/corrections/a-0123.jpg").wait_for()
        assert fake.corrections == [{"run": "version_0", "name": "two.jpg", "class": "ants", "label": "wasps"}]
        card(page, "two.jpg").get_by_role("button", name="Undo").click()
        card(page, "two.jpg").get_by_role("button", name="This is wrong").wait_for()
        assert fake.corrections == []
        expect(card(page, "two.jpg")).to_be_focused()
        page.keyboard.press("Delete")
        card(page, "two.jpg").wait_for(state="detached")
        expect(page.locator("#summary")).to_have_text("1 picture: ants 1.")


def test_two_runs_stand_side_by_side(page: Page) -> None:
    fake = FakeServe(runs=["cnn", "vit"])
    with opened(page, fake):
        choose(page, ["ants.jpg", "bees.jpg", "differ.jpg"])
        expect(page.locator("#summary")).to_have_text("The runs agree on 2 of 3 pictures.")
        assert len(fake.queries) == 1
        says(card(page, "differ.jpg"), "The runs disagree.")
        sections = card(page, "differ.jpg").locator("section")
        expect(sections).to_have_count(2)
        # Both at once: a picture that comes between two looks moves what is below it.
        left, right = sections.evaluate_all("all => all.map(each => each.getBoundingClientRect().y)")
        assert left == right
        says(sections.nth(0), "ants 97 %")
        says(sections.nth(1), "bees 97 %")
        page.get_by_label("only where the runs disagree").check()
        expect(page.locator(".card:visible")).to_have_count(1)


def test_all_answers_are_a_table_that_no_spreadsheet_runs(page: Page) -> None:
    with opened(page, FakeServe(), "?min_accuracy=0.9"):
        choose(page, ["=1+1.jpg", 'a "b", c.jpg', "broken.jpg", "unsure remark.jpg"])
        header, *lines = table(page)
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    assert header == [
        *("path", "class", "probability", "class_2", "probability_2", "class_3", "probability_3", "set", "stranger"),
        *(f"nearest_{place}{tail}" for place in range(1, 6) for tail in ("", "_label", "_distance")),
        *("why_unknown", "surest_class", "error", "remark"),
    ]
    assert [row["path"] for row in rows] == ["'=1+1.jpg", 'a "b", c.jpg', "broken.jpg", "unsure remark.jpg"]
    assert (rows[0]["class"], rows[0]["probability"], rows[0]["stranger"]) == ("ants", "0.971000", "0.420000")
    assert (rows[2]["class"], rows[2]["error"]) == ("", "broken or cut short: image file is truncated")
    assert (rows[3]["class"], rows[3]["why_unknown"], rows[3]["surest_class"]) == ("unknown", "confidence", "ants")
    assert rows[3]["set"] == "ants;bees"


def test_many_pictures_go_in_batches_and_can_be_stopped(page: Page) -> None:
    fake = FakeServe(held_after=3)
    with opened(page, fake):
        page.locator("#files").set_input_files([picture(f"{number}.jpg") for number in range(60)])
        expect(page.locator("#progress-text")).to_have_text("24 of 60 pictures answered")
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="Send the rest").wait_for()
        expect(page.locator("#progress-text")).to_have_text("Stopped: 24 of 60 pictures answered")
        expect(page.locator(".card[data-state=waiting]")).to_have_count(36)
        fake.held_after = None
        page.get_by_role("button", name="Send the rest").click()
        page.get_by_text("60 pictures: ants 60.").first.wait_for()
        expect(page.locator("#progress-line")).to_be_hidden()
    assert max(len(names) for names in fake.uploads) == 8


def test_an_ended_server_is_said_and_what_is_left_can_be_sent_again(page: Page) -> None:
    fake = FakeServe()
    port = free_port()
    with served(fake.app(), ServerOptions(port=port)) as url:
        open_page(page, url)
        choose(page, ["one.jpg"])
    page.locator("#files").set_input_files([picture("bees 2.jpg"), picture("bees 3.jpg")])
    alarm = page.get_by_role("alert").filter(has_text="The server has ended")
    alarm.wait_for()
    says(alarm, "2 pictures were not answered.")
    with served(fake.app(), ServerOptions(port=port)):
        alarm.get_by_role("button", name="Send again").click()
        page.get_by_text("3 pictures: bees 2, ants 1.").first.wait_for()
        expect(alarm).to_be_hidden()


def test_a_refusal_is_its_line(page: Page) -> None:
    fake = FakeServe(refuses="the run has kept no held-out answers")
    with served(fake.app()) as url:
        open_page(page, url)
        page.locator("#files").set_input_files([picture("a.jpg"), picture("b.jpg")])
        line = "the run has kept no held-out answers. 2 pictures were not answered."
        page.get_by_role("alert").get_by_text(line).wait_for()
        expect(page.get_by_role("button", name="Stop")).to_be_hidden()
        page.get_by_role("button", name="Change the settings").click()
        expect(page.locator("[name=coverage_on]")).to_be_focused()
        fake.refuses = ""
        page.keyboard.press("Space")
        page.get_by_text("2 pictures: ants 2.").first.wait_for()
        expect(page.get_by_role("alert")).to_be_empty()
        assert fake.queries[-1] == {"top_k": "5", "unknown": "true", "nearest": "5"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("runs", [["cnn"], ["cnn", "vit"]])
def test_nothing_is_cut_on_a_phone(page: Page, scheme: Any, runs: list[str]) -> None:
    long = f"{'very_long_' * 12}name.jpg"
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme=scheme)
    with opened(page, FakeServe(runs=[*runs[:-1], "a_run_of_a_long_name" * 4]), "?min_accuracy=0.98"):
        take = page.get_by_role("button", name="Take a picture")
        with page.expect_file_chooser() as chooser:
            take.click()
        chooser.value.set_files([picture("ants.jpg")])
        choose(page, [long, "unsure differ.jpg", "stranger.jpg", "broken.jpg"])
        page.get_by_role("button", name="Where did it look?").first.click()
        page.get_by_role("img", name="Where the network looked for").wait_for()
        page.locator("details").evaluate_all("all => all.forEach(each => { each.open = true })")
        assert_fits(page)
        outside = """all => all.filter(each => {
            const box = each.getBoundingClientRect();
            return box.width > 1 && (box.right > innerWidth + 1 || box.left < -1);
        }).map(each => each.outerHTML.slice(0, 200))"""
        assert page.locator("main *, header *").evaluate_all(outside) == []
        assert take.evaluate("each => innerHeight - each.getBoundingClientRect().bottom") < 20  # under a thumb


def test_several_labels_and_values_are_answered_too(page: Page) -> None:
    with opened(page, FakeServe(health={"task": "multilabel"}), "?min_accuracy=0.9"):
        choose(page, ["a.jpg", "unsure b.jpg"])
        says(card(page, "a.jpg"), "ants, bees")
        says(card(page, "a.jpg"), "These may hold: each class by itself is told rightly in 90 of 100")
        says(card(page, "unsure b.jpg"), "unknown: ants")
        header, first, second = table(page)
        assert header[1:5] == ["classes", "p_ants", "p_bees", "p_wasps"]
        assert first[1:3] == ["ants;bees", "0.971000"]
        assert dict(zip(header, second, strict=True))["unknown_classes"] == "ants"
    with opened(page, FakeServe(health={"task": "regression", "class_names": [], "min_accuracy": False})):
        choose(page, ["a.jpg"])
        says(card(page, "a.jpg"), "4.25", "Between 3.5 and 5.125, in 90 of 100 pictures.")
        assert table(page)[0][:4] == ["path", "value", "value_low", "value_high"]
        expect(page.get_by_label("Answer only the surest pictures")).to_be_disabled()


@pytest.mark.parametrize("runs", [["cnn"], ["cnn", "vit"]])
def test_the_page_is_accessible(page: Page, runs: list[str]) -> None:
    with opened(page, FakeServe(runs=runs), "?min_accuracy=0.98"):
        assert_accessible(page)
        choose(page, ["ants.jpg", "unsure differ remark.jpg", "stranger.jpg", "broken.jpg"])
        page.get_by_role("button", name="Where did it look?").first.click()
        page.get_by_role("img", name="Where the network looked for").wait_for()
        page.locator("details").evaluate_all("all => all.forEach(each => { each.open = true })")
        assert_accessible(page)
        page.get_by_role("button", name="This is wrong").first.click()
        page.get_by_role("combobox", name="What is").wait_for()
        assert_accessible(page)


def test_hostile_names_are_text(page: Page) -> None:
    fake = FakeServe(runs=HOSTILE[:2], class_names=list(HOSTILE), health={"network": HOSTILE[0], "reached": HOSTILE[1]})
    with opened(page, fake):
        names = [name.replace("/", "_") + ".jpg" for name in HOSTILE]
        choose(page, names)
        page.get_by_role("button", name="Where did it look?").first.click()
        page.get_by_role("button", name="This is wrong").first.click()
        page.get_by_role("combobox", name="What is").wait_for()
        page.get_by_role("img", name="Where the network looked for").wait_for()
        assert page.evaluate("window.hacked") is None
        assert page.locator(".card h3").all_text_contents() == names
        assert page.locator(".verdict b").all_text_contents() == [HOSTILE[0]] * 2 * len(names)
        assert page.locator(".run h2").all_text_contents() == HOSTILE[:2]
        assert set(page.locator(".set li").all_text_contents()) == {HOSTILE[0]}
        assert page.locator("main script, [src=x], [onerror]").count() == 0


def test_memory_of_pictures_is_free_again(browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(
        "window.open_urls = new Set(); const make = URL.createObjectURL, free = URL.revokeObjectURL;"
        "URL.createObjectURL = (blob) => { const url = make(blob); open_urls.add(url); return url; };"
        "URL.revokeObjectURL = (url) => { open_urls.delete(url); free(url); };"
    )
    with served(FakeServe().app()) as url:
        open_page(page, url)
        choose(page, [f"{number}.jpg" for number in range(20)])
        wait_until(page, "[...document.querySelectorAll('.picture')].every(each => each.naturalWidth)")
        wait_until(page, "open_urls.size === 0")
        page.get_by_role("button", name="Remove all").click()
        expect(page.locator(".card")).to_have_count(0)
        expect(page.locator("#choose")).to_be_focused()
    context.close()


def test_the_command_asks_for_the_same(page: Page) -> None:
    with opened(page, FakeServe()) as url:
        choose(page, ["it's.jpg", 'a;"b".jpg'])
        page.get_by_text("The same answer from a terminal").click()
        fields = """-F 'pictures=@"it'\\''s.jpg"' -F 'pictures=@"a;\\"b\\".jpg"'"""
        expected = f"curl {fields} '{url}predict?top_k=5&coverage=0.9&unknown=true&nearest=5'"
        expect(page.locator("#curl")).to_have_text(expected)
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        remember_words(page.locator("#copy"))
        page.get_by_role("button", name="Copy").click()
        wait_for_words(page, "Copied")
        assert page.evaluate("navigator.clipboard.readText()") == expected
