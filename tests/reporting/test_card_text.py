"""`card.md` is a page of Markdown in which nothing acts."""

from __future__ import annotations

import pytest

from tests.helpers.made_run import HOSTILE, made_card
from tlearn.reporting.card.markdown import card_markdown, markdown_text


def test_hostile_names_do_nothing_in_the_card() -> None:
    card = made_card(HOSTILE)
    card["command"] = "```\n# x"
    card["doctor"]["findings"] = [{"severity": "note", "what": "[x](javascript:1) | **y**", "files": []}]
    text = card_markdown(card)
    assert "3 classes: &lt;script&gt;alert(1)&lt;/script&gt;, " in text
    assert "a\\\\nb \\| c\\\\u202ed." in text
    assert "<" not in text
    assert "\u202e" not in text
    assert "- note: \\[x\\](javascript:1) \\| \\*\\*y\\*\\*" in text
    assert "````console\n$ ```\\n# x\n" in text


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("n02086240_dog", "n02086240_dog"),
        ("_x_ `y` #1", r"\_x\_ \`y\` \#1"),
        ("http://x.org www.x.org a@x.org", "http&#58;//x.org www&#46;x.org a&#64;x.org"),
        ("&amp;", "&amp;amp;"),
    ],
)
def test_markdown_is_escaped(given: str, written: str) -> None:
    assert markdown_text(given) == written


def test_card_is_a_page() -> None:
    card = made_card([f"class {k}" for k in range(100)])
    card["model"] |= {f"option_{k}": k for k in range(40)}
    card["stages"] *= 10
    text = card_markdown(card)
    lines = text.splitlines()
    assert len(lines) <= 120
    assert lines[0] == "# finetune, version 0"
    for line in (
        "Status: finished after 5 epochs. Started 2026-11-26 08:30 UTC. Took 2 min 3 s.",
        "**Fine-tuning of everything**",
        r"| test accuracy | 85.4 % \[78.9, 90.2\], 129 of 151 test images |",
        r"| best validation accuracy (epoch 4) | 86.4 % \[80.0, 91.0\], 130 of 151 validation images |",
        "In brackets: the 95 % interval, given for fewer than 1,000 images.",
        "$ tlearn test --ckpt_path best",
        "| backbone | resnet18 |",
        "| layer4 | 8,393,728 | 0 | 0 | 0.1 | follows |",
        "75 frozen tensors were compared before and after 5 epochs: unchanged, to the last bit.",
        "| training | 903 | 300 to 399 |",
        "- warning: 3 pictures have a copy in val",
        "| torch | 2.14.1 |",
        "and 32 more",
    ):
        assert line in text.replace("\u00a0", " ").splitlines(), line
    assert "class 19, and 80 more." in text
