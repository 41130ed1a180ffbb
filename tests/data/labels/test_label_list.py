"""The list of labels: several writers, sudden ends, hostile names, damage."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tlearn import TlearnError
from tlearn.data.labels.label_list import LABELS, Decision, LabelList

WRITER = """
import sys
from tlearn.data.labels.label_list import Decision, LabelList
root, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
labels = LabelList(root)
for number in range(count):
    labels.decide([Decision(f"{name}/{number}.png", "cat", "dog", "change")])
    print(number, flush=True)
"""


def writer(root: Path, name: str, count: int) -> subprocess.Popen[str]:
    """Start a process that decides on pictures once it is told to."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), name, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_decide_and_undo(tmp_path: Path) -> None:
    labels = LabelList(tmp_path)
    assert labels.read() == {}
    labels.decide(
        [
            Decision("cat/1.png", "cat", "dog", "change", doubt="self-confidence 0.93"),
            Decision("cat/2.png", "cat", "", "exclude"),
            Decision("cat/3.png", "cat", "", "keep"),
            Decision("new/4.png", "", "fox", "label", "2026-11-29T08:00:00Z"),
        ]
    )
    labels.decide([Decision("cat/1.png", "cat", "nobody knows", "unsure")])
    read = labels.read()
    assert list(read) == ["cat/2.png", "cat/3.png", "new/4.png", "cat/1.png"]
    assert read["cat/1.png"][:4] == ("cat/1.png", "cat", "", "unsure")
    assert read["cat/3.png"].label == "cat"
    assert read["new/4.png"] == Decision("new/4.png", "", "fox", "label", "2026-11-29T08:00:00Z")
    assert abs(time.time() - time.mktime(time.strptime(read["cat/2.png"].time, "%Y-%m-%dT%H:%M:%SZ"))) < 86_400 * 2
    labels.undo(["cat/2.png", "not/there.png"])
    assert list(labels.read()) == ["cat/3.png", "new/4.png", "cat/1.png"]
    lines = (tmp_path / LABELS).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "path,old,label,decision,time,doubt"
    assert lines[2] == "new/4.png,,fox,label,2026-11-29T08:00:00Z,"


@pytest.mark.slow
def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    count = 200
    both = [writer(tmp_path, name, count) for name in ("one", "two")]
    for process in both:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate()[0].split()[-1:] for process in both] == [[str(count - 1)]] * 2
    expected = {f"{name}/{number}.png" for name in ("one", "two") for number in range(count)}
    assert LabelList(tmp_path).read().keys() == expected


KILLED = """
import os, signal, sys
from pathlib import Path
from tlearn.data.labels.label_list import Decision, LabelList

def half(path, content, *_, **__):
    with open(path, "wb") as file:  # whatever the file is, its first half reaches the disk
        whole = content if isinstance(content, bytes) else content.encode()
        file.write(whole[: len(whole) // 2])
    os.kill(os.getpid(), signal.SIGKILL)

labels = LabelList(sys.argv[1])
labels.decide([Decision("said.png", "cat", "dog", "change")])
Path.write_bytes = Path.write_text = half
labels.decide([Decision("lost.png", "cat", "dog", "change")])
"""


def test_a_kill_in_the_middle_of_the_writing_loses_one_key(tmp_path: Path) -> None:
    labels = LabelList(tmp_path)
    labels.decide([Decision(f"old/{number}.png", "cat", "dog", "change") for number in range(200)])
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert set(labels.read()) == {"said.png", *(f"old/{number}.png" for number in range(200))}
    LabelList(tmp_path).decide([Decision("later.png", "cat", "dog", "change")])  # the lock has gone with the process
    assert "later.png" in labels.read()
    assert {path.name for path in tmp_path.iterdir()} == {LABELS, f".{LABELS}.lock"}  # nor is anything else left


@pytest.mark.parametrize("after", [1, 20])
def test_a_kill_at_any_moment_loses_no_key_that_was_said(tmp_path: Path, after: int) -> None:
    process = writer(tmp_path, "new", 5000)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    said = [process.stdout.readline() for _ in range(after)][-1]
    os.kill(process.pid, signal.SIGKILL)
    said = [said, *process.communicate()[0].splitlines()][-1]
    assert len(LabelList(tmp_path).read()) - 1 - int(said) in (0, 1)  # the last one may be written and not said


HOSTILE = [
    "a,b.png",
    'quote"d".png',
    "two\nlines.png",
    "carriage\rreturn.png",
    "both\r\n.png",
    "=cmd|' /C calc'!A0",
    "'=quoted",
    "-1.png",
    "\tblank.png",
    " blank .png",
    "\\udcff.png",
    "\\\\udcff.png",
    "cloud800.png",
    os.fsdecode(b"latin\xe9.png"),
    "\\" + os.fsdecode(b"\xff"),
    "猫/é.png",
    "semi;colon.png",
    "nul\0.png",
    "\ufeffmark.png",
    "<b>bold</b>.png",
]


def test_hostile_names_come_back_as_they_were(tmp_path: Path) -> None:
    given = {name: Decision(name, name, f"{name}x", "change", "t", name) for name in HOSTILE}
    for each in given.values():  # the file is read and written anew each time
        LabelList(tmp_path).decide([each])
    assert LabelList(tmp_path).read() == given
    text = (tmp_path / LABELS).read_bytes().decode("utf-8")  # is valid UTF-8
    for cells in csv.reader(text.splitlines(keepends=True)):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)


def test_one_path_in_the_forms_of_macos_and_linux(tmp_path: Path) -> None:
    labels = LabelList(tmp_path)
    labels.decide([Decision("caf\u00e9.png", "cat", "dog", "change")])
    labels.decide([Decision("cafe\u0301.png", "cat", "", "exclude")])
    assert [(row.path, row.decision) for row in labels.read().values()] == [("cafe\u0301.png", "exclude")]
    labels.undo(["caf\u00e9.png"])
    assert labels.read() == {}
    labels.decide([Decision(name, "cat", "dog", "change") for name in ("caf\u00e9.png", "cafe\u0301.png")])
    assert list(LabelList(tmp_path).read()) == ["cafe\u0301.png"]


def test_what_others_write_is_seen_at_once(tmp_path: Path) -> None:
    one, other = LabelList(tmp_path), LabelList(tmp_path)
    one.decide([Decision("a.png", "cat", "dog", "change")])
    other.decide([Decision("b.png", "cat", "dog", "change")])
    one.read()["c.png"] = Decision("c.png", "cat", "dog", "change")  # a copy, which changes nothing
    assert set(one.read()) == set(other.read()) == {"a.png", "b.png"}
    other.undo(["a.png"])
    assert set(one.read()) == {"b.png"}


def test_a_file_that_a_spreadsheet_has_saved(tmp_path: Path) -> None:
    text = "\ufeffpath;old;label;decision;time;doubt\r\na.png;cat;dog; Change;;\r\n\r\nb.png;cat;dog;exclude;;\r\n"
    (tmp_path / LABELS).write_bytes(text.encode())
    assert [row[:4] for row in LabelList(tmp_path).read().values()] == [
        ("a.png", "cat", "dog", "change"),
        ("b.png", "cat", "", "exclude"),
    ]


HEADER = b"path,old,label,decision,time,doubt\n"
GOOD = b"a.png,cat,dog,change,,\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"path,label\na.png,cat\n", "row 1: expected path,old,label,decision,time,doubt, got 'path,label'"),
        (HEADER + GOOD + b"b.png,cat,dog\n", "row 3: 3 fields, expected 6; mend or remove the row"),
        (HEADER + GOOD + b"b.png,cat,dog,delete,,\n", "row 3: the decision is 'delete', expected keep, change"),
        (HEADER + b",cat,dog,change,,\n", "row 2: no path"),
        (HEADER + b"b.png,cat,,change,,\n", "row 2: change without a label"),
        (HEADER + b"b.png,,,keep,,\n", "row 2: keep without a label"),
        (HEADER + b"b.png,cat,dog,keep,,\n", "row 2: keep, with the label 'dog' for 'cat'"),
        (HEADER + GOOD + b"b.png,cat,dog,keep", "row 3: 4 fields"),
        (HEADER + GOOD + b"b.png,c\xe9t,dog,change,,\n", "row 3: bytes that are no text in UTF-8; save it so"),
        (HEADER + GOOD + GOOD, "row 3: the picture of row 2 again; remove one of them"),
        (HEADER + GOOD + b'"b.png,cat,dog,change,,\n', "row 3: not readable as CSV (unexpected end of data)"),
        (
            HEADER + b'b.png,cat,dog,"de\nlete\x1b[31m",,\n',
            "row 2: the decision is 'de\\nlete\\x1b[31m', expected keep",
        ),
        (b"\0" * 64, "row 1: expected path,old,"),
    ],
)
def test_a_damaged_list_is_refused_by_row_and_left_as_it_is(tmp_path: Path, content: bytes, told: str) -> None:
    place = tmp_path / LABELS
    place.write_bytes(content)
    labels = LabelList(tmp_path)
    for call in (labels.read, lambda: labels.decide([Decision("c.png", "cat", "dog", "change")])):
        with pytest.raises(TlearnError) as caught:
            call()
        assert str(caught.value).startswith(f"{place}, {told}")
        assert "\n" not in str(caught.value)
    assert place.read_bytes() == content


def test_what_is_no_decision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TlearnError, match=r"a decision on 'a\.png': change without a label"):
        LabelList(tmp_path).decide([Decision("a.png", "cat", "", "change")])
    with pytest.raises(TlearnError, match=r"a decision on 'a\.png': the decision is 'drop'"):
        LabelList(tmp_path).decide([Decision("a.png", "cat", "", "drop")])  # type: ignore[arg-type]
    assert not (tmp_path / LABELS).exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TlearnError, match=r"cannot write .*gone"):
        LabelList(tmp_path / "gone").decide([Decision("a.png", "cat", "dog", "change")])
