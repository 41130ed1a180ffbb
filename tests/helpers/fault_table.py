"""The table of faults that were tried and survived, made from what the tests marked `fault` left in pytest's XML.

`python -m tests.helpers.fault_table RESULTS.xml [docs/reliability.md]` prints it, or writes it between the marks of a
document.
"""

from __future__ import annotations

import ast
import os
import platform
import sys
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from tlearn.base.files import write_whole

BEGIN, END = "<!-- faults: written by `make test-faults INTO=docs/reliability.md` -->\n", "<!-- /faults -->\n"
HEAD = "| What was done | What held | Cases | Test |\n|---|---|---|---|\n"
TESTS = Path(__file__).parents[1]


class Fault(NamedTuple):
    """What a row is about.

    Attributes:
        done: What was done to tlearn.
        held: What stayed whole; a test may add figures, which it records as `survived`.
        test: `FILE::FUNCTION`, seen from the tests' folder.
    """

    done: str
    held: str
    test: str


def marked() -> list[Fault]:
    """Find the marks `@pytest.mark.fault("what was done", "what held")` in the tests' source."""
    found = []
    for path in sorted(TESTS.rglob("test_*.py")):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            for mark in getattr(function, "decorator_list", []):
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                    test = f"{path.relative_to(TESTS).as_posix()}::{getattr(function, 'name', '')}"
                    done, held = (str(ast.literal_eval(word)) for word in mark.args)
                    found.append(Fault(done, held, test))
    return found


def table(results: Path) -> tuple[str, bool]:
    """Make the table, one row a test, however many cases it has.

    Args:
        results: What `pytest --junitxml` wrote.

    Returns:
        Markdown, and whether everything held; what was skipped is said, and counts as neither.
    """
    faults, held = dict[str, Fault](), dict[str, list[str]]()
    counts: dict[str, Counter[str]] = {}
    for case in ElementTree.parse(results).iter("testcase"):
        properties = {each.get("name"): str(each.get("value")) for each in case.iter("property")}
        if "fault" not in properties:
            continue
        test = f"{case.get('file', '').removeprefix('tests/')}::{case.get('name', '').partition('[')[0]}"
        faults[test] = Fault(properties["fault"], properties["held"], test)
        counts.setdefault(test, Counter())[_outcome(case)] += 1
        if "survived" in properties:
            held.setdefault(test, []).append(properties["survived"])
    rows = []
    for test, fault in sorted(faults.items()):
        figures = "; ".join(dict.fromkeys(held.get(test, [])))
        said = f"{fault.held} ({figures})" if figures else fault.held
        rows.append(f"| {fault.done} | {said} | {_cases(counts[test])} | `{test}` |\n")
    return HEAD + "".join(rows), not any(each["failed"] for each in counts.values())


def _outcome(case: ElementTree.Element) -> str:
    kinds = {part.tag for part in case}
    return "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "held"


def _cases(count: Counter[str]) -> str:
    if count["skipped"]:
        return f"{count['held']} of {count.total()}, {count['skipped']} not tried here"
    return f"{count['held']} of {count.total()}"


def where() -> str:
    """Say on what the tests ran."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "lightning", "numpy"))
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, no GPU used"
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    return f"`make test-faults` on {today}: Python {platform.python_version()}, {versions}; {machine}.\n"


def main(words: list[str]) -> int:
    made, is_whole = table(Path(words[0]))
    content = f"{where()}\n{made}"
    if len(words) == 1:
        print(content)
    else:
        document = Path(words[1])
        before, _, rest = document.read_text("utf-8").partition(BEGIN)
        write_whole(document, f"{before}{BEGIN}{content}{END}{rest.partition(END)[2]}")
    return 0 if is_whole else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
