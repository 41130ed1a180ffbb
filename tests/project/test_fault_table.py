"""The table of faults in docs/reliability.md names what the tests try, and is made from their results."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.fault_table import BEGIN, END, HEAD, TESTS, marked, table

RESULTS = """<testsuites><testsuite><testcase file="tests/test_a.py" name="test_x[1]"><properties>
<property name="fault" value="cut" /><property name="held" value="all" /></properties></testcase>
<testcase file="tests/test_a.py" name="test_x[2]"><properties><property name="fault" value="cut" /><property
name="held" value="all" /></properties>FAILURE</testcase><testcase file="tests/test_a.py" name="test_y"><properties>
<property name="fault" value="kill" /><property name="held" value="bits" /><property name="survived" value="30 kills" />
</properties></testcase><testcase file="tests/test_a.py" name="test_z" /></testsuite></testsuites>"""


def test_the_page_names_the_faults_that_are_tried() -> None:
    text = (TESTS.parent / "docs/reliability.md").read_text("utf-8")
    written = text.partition(BEGIN)[2].partition(END)[0].partition(HEAD)[2]
    rows = [line.strip("| ").split(" | ") for line in written.splitlines()]
    named = {(row[0], row[3].strip("`")) for row in rows}
    assert named == {(fault.done, fault.test) for fault in marked()}, (
        "make test-faults INTO=docs/reliability.md writes it"
    )
    assert len(rows) == len(named) > 10
    for done, _, cases, _ in rows:
        held, _, tried = cases.partition(" of ")
        assert held == tried, f"{done}: {cases}"


def test_a_row_counts_cases_and_prefers_what_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "results.xml"
    for failure, cases in (("", "2 of 2"), ('<failure message="no" />', "1 of 2"), ("<skipped />", "1 of 2, 1 not")):
        path.write_text(RESULTS.replace("FAILURE", failure))
        made, is_whole = table(path)
        assert made.startswith(f"{HEAD}| cut | all | {cases}")
        assert made.endswith("| `test_a.py::test_x` |\n| kill | bits (30 kills) | 1 of 1 | `test_a.py::test_y` |\n")
        assert is_whole is ("failure" not in failure)
