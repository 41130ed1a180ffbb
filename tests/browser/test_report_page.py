"""The report as people use it, in a real browser: on a phone, by the keyboard, without scripts, with hostile names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import pages
from tests.helpers.made_run import HOSTILE, csv_of, full_run, made_card, made_evaluation, stage, write_run
from tlearn import report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


def made_report(folder: Path) -> Path:
    return report(full_run(folder / "run"))


def wide_report(folder: Path) -> Path:
    """Twenty classes of long names, long paths, and a command without a blank to break at."""
    names = [f"a kind with a name as long as they come in {k}" for k in range(20)]
    matrix = [[20 if t == p else 3 if (t, p) == (4, 9) else 0 for p in range(20)] for t in range(20)]
    evaluation = made_evaluation("test", names[:3]) | {"confusion": matrix, "class_names": names}
    evaluation["per_class"] = [{"name": n, "images": 20, "accuracy": 0.9, "precision": 1.0, "f1": 0.9} for n in names]
    for row in evaluation["worst"]:
        row["name"] = f"train/{'very_long_' * 8}/{'x' * 90}.jpg"
    card = made_card(names)
    card["command"] = f"tlearn fit --data.init_args.root /{'folder/' * 12}{'y' * 80}"
    card["data"]["options"]["root"] = f"/{'folder/' * 12}{'z' * 80}"
    card["model"]["weights"] = f"/{'weights/' * 12}{'w' * 80}.safetensors"
    card["stages"] = [stage("layer4", 8_393_728, 23_508_032, "0.001", "follows") | {"left_out": 14_155_776}]
    return report(write_run(folder / "run", card, csv_of(5), test=evaluation, val=evaluation | {"split": "val"}))


def hostile_report(folder: Path) -> Path:
    card = made_card(HOSTILE) | {"name": HOSTILE[0], "command": HOSTILE[1]}
    return report(write_run(folder / "run", card, csv_of(5), test=made_evaluation("test", HOSTILE)))


@pytest.mark.parametrize("make", [made_report, wide_report, hostile_report])
@pytest.mark.parametrize("width_px", [400, 800])
def test_nothing_is_cut_on_a_phone(page: Page, tmp_path: Path, make: type, width_px: int) -> None:
    pages.see_report_on_a_phone(page, make(tmp_path), width_px)


def test_the_contents_lead_there(page: Page, tmp_path: Path) -> None:
    pages.see_contents_lead_there(page, made_report(tmp_path))


def test_the_copy_button_copies_the_command(page: Page, tmp_path: Path) -> None:
    copied = pages.copy_a_command(page, made_report(tmp_path))
    assert copied == "tlearn fit --config finetune.yaml --data.init_args.root 'my pictures'"


def test_pictures_open_large_by_the_keyboard(page: Page, tmp_path: Path) -> None:
    pages.enlarge_pictures(page, made_report(tmp_path))


def test_without_scripts_all_is_readable(browser: Browser, tmp_path: Path) -> None:
    words = pages.see_report_without_scripts(browser, made_report(tmp_path))
    for said in ("129 of 151 test images", "tlearn fit --config finetune.yaml", "Test: mistakes", "cat/000.jpg"):
        assert said in words


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_hostile_names_do_nothing(page: Page, tmp_path: Path, scheme: str) -> None:
    asked: list[str] = []
    page.on("dialog", lambda dialog: asked.append(dialog.message))
    pages.see_report(page, hostile_report(tmp_path), scheme, ["<script>alert(1)</script>"])
    assert asked == []
