"""Say in words how new pictures differ from the training pictures."""

from __future__ import annotations

from textwrap import shorten

from tlearn.models.reliability.drift import Comparison
from tlearn.models.reliability.expected_accuracy import Expected
from tlearn.models.reliability.properties import PROPERTIES, Moved
from tlearn.models.reliability.two_sample import METHOD

_LONGEST = 25  # letters of a class
_NAMED_MOVE = 0.2  # of the answers: a class whose share moved by less is not named


def alike_words(found: Comparison) -> str:
    """Return whether they are alike, by which test: ``like the training pictures (MMD, p 0.41)``."""
    groups = ""
    if found.groups:
        than = "no further from them than the furthest" if found.alike else "further from them than each"
        groups = f"; {than} of {found.groups} groups is from the others"
    return f"{'like' if found.alike else 'not like'} the training pictures ({METHOD}, p {found.p:.2g}{groups})"


def numbers_words(moved: Moved) -> tuple[str, str]:
    """Return a property's means before and after with its unit."""
    unit = PROPERTIES[moved.name].unit if moved.name in PROPERTIES else ""
    before, after = moved.before, moved.after
    if unit == "px":
        return f"{before:,.0f} px", f"{after:,.0f} px"
    digits = 0 if max(abs(before), abs(after)) > 2 else 2 if abs(after - before) >= 0.02 else 3
    return f"{before:.{digits}f}", f"{after:.{digits}f}"


def expected_words(expected: Expected) -> str:
    """Return the accuracy to expect: ``84 % [70, 93] right``."""
    low, high = 100 * expected.low, 100 * expected.high
    return f"{100 * expected.share:.0f} % [{low:.0f}, {high:.0f}] right"


def moved_words(found: Comparison) -> str:
    """Return what moved most: properties, and a class that is answered more or less often."""
    moves = [f"{each.name} {before} -> {after}" for each in found.moved_most for before, after in [numbers_words(each)]]
    first = next(iter(found.classes), None)
    if first is not None and abs(first.after - first.before) >= _NAMED_MOVE:
        moves.append(f"{first.name} {100 * first.before:.0f} -> {100 * first.after:.0f} % of the answers")
    return f"{', '.join(moves)} moved most" if moves else "no simple property moved"


def predict_line(found: Comparison, command: str) -> str:
    """Return the line that ``predict`` ends with.

    Args:
        found: The comparison.
        command: Shows more.
    """
    count = f"{found.pictures:,} pictures"
    if found.alike:
        return f"drift: these {count} are {alike_words(found)}"
    parts = [moved_words(found), f"expect {expected_words(found.expected)}" if found.expected else ""]
    told = "; ".join(part for part in parts if part)
    return f"drift: these {count} are {alike_words(found)}: {told}; see {command}"


def rows_of(found: Comparison) -> list[tuple[str, str, str, str]]:
    """Return what is compared: its name, the number before and after, and by how much it moved."""
    rows = [(each.name, *numbers_words(each), f"{each.difference:+.1f} sd") for each in found.properties]
    if found.strangers is not None:
        rows.append(("strangers", "5 %", f"{100 * found.strangers:.0f} %", ""))
    shares = [(each.name, f"{100 * each.before:.0f} %", f"{100 * each.after:.0f} %") for each in found.classes]
    return rows + [(f"answers: {shorten(name, _LONGEST)}", before, after, "") for name, before, after in shares]


def report_lines(found: Comparison) -> list[str]:
    """Return the report on new pictures: the verdict, a table, and what to expect."""
    verdict = "alike" if found.alike else "not alike"
    lines = [f"{verdict}: they are {alike_words(found)}"]
    lines += [""] if found.alike else [moved_words(found), ""]
    table = [("", "training", "new", "moved by"), *rows_of(found)]
    wide = max(len(row[0]) for row in table)
    lines += [f"  {name:{wide}}  {before:>10}  {after:>10}  {by:>9}".rstrip() for name, before, after, by in table]
    if found.expected is not None:
        expected = found.expected
        lines += ["", f"expect {expected_words(expected)}; held-out pictures of the run: {100 * expected.before:.0f} %"]
        lines += [
            "It follows from how sure the answers are, and cannot see answers that are",
            "surely wrong; label 50.",
        ]
    return lines
