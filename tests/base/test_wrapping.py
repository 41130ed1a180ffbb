"""Long lines on a terminal: wrapped at blanks there, and left alone everywhere else."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.helpers.fake_pictures import write_folder
from tlearn.base.terminal.wrapping import filled, wrapped

LONG = "val: 39 of these 390 images, 10 % of each class, are held back to validate in every run, and in no other way"


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def written_to_a_terminal(words: list[str], folder: Path, columns: int) -> list[str]:
    """The lines of a command whose stderr alone is a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tlearn", *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": str(columns), "TERM": "dumb", "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.DEVNULL,
        stderr=slave,
    )
    os.close(slave)
    seen = b""
    while True:
        try:
            read = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not read:
            break
        seen += read
    process.wait(10)
    os.close(master)
    return seen.decode().replace("\r\n", "\n").splitlines()


def test_the_error_breaks_at_blanks_in_a_terminal_alone(tmp_path: Path) -> None:
    words = ["finetune", "my_pictures"]
    piped = subprocess.run(
        [sys.executable, "-m", "tlearn", *words],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "60", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    ).stderr
    assert piped.startswith("error: unknown verb 'finetune'.")
    assert piped.count("\n") == 1
    assert len(piped) > 80
    lines = written_to_a_terminal(words, tmp_path, 60)
    assert len(lines) > 1
    assert max(map(len, lines)) < 60
    assert " ".join(lines) + "\n" == piped


@pytest.mark.slow
def test_the_log_breaks_at_blanks_in_a_terminal(tmp_path: Path) -> None:
    write_folder(tmp_path / "my_pictures", count=12)
    lines = written_to_a_terminal(["plan", "my_pictures", "--model.weights", "null"], tmp_path, 60)
    first = next(number for number, line in enumerate(lines) if line.startswith("val: "))
    assert max(map(len, lines[first : first + 2])) < 60
    assert "are held back to validate in every run" in " ".join(lines[first : first + 2])


def test_words_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert wrapped(LONG, io.StringIO()) == LONG
    lines = wrapped(LONG, Terminal()).split("\n")
    assert len(lines) == 2
    assert " ".join(lines) == LONG
    path = "/a-long-folder" * 8 + "/picture.jpg"
    assert wrapped(f"cannot read {path}", Terminal()) == f"cannot read\n{path}"
    short = "  a  b\n\nc"
    assert wrapped(short, Terminal()) == short


@pytest.mark.parametrize(
    "command", ["pip install 'tlearn[heif]'", "tlearn predict runs/a photos --out p.csv", "python -m tlearn fit x,y z"]
)
def test_a_command_stays_on_one_line(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    for columns in range(20, 90):
        monkeypatch.setenv("COLUMNS", str(columns))
        said = f"these pictures cannot be read by what is installed here; {command}; then go on as before"
        lines = wrapped(said, Terminal()).split("\n")
        assert " ".join(lines) == said
        assert any(command in line for line in lines)


def test_the_width_is_that_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "")
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as stream:
        for columns, shown in ((50, 50), (0, 80)):  # 0: it does not know
            termios.tcsetwinsize(slave, (24, columns))
            longest = max(map(len, wrapped(LONG, stream).split("\n")))
            assert shown - 12 < longest < shown
    os.close(master)


def test_text_is_filled_line_by_line_and_words_stay_whole() -> None:
    path = "runs/" + "x" * 80
    assert filled(LONG, 40) == (
        "val: 39 of these 390 images, 10 % of\n"
        "  each class, are held back to validate\n"
        "  in every run, and in no other way"
    )
    assert filled(f"kept: {path}\nnext: twenty-one words", 20) == f"kept:\n  {path}\nnext: twenty-one\n  words"
