"""Where long work is: a line in a terminal that vanishes, plain lines without one, and nothing for short work."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tlearn.base import progress
from tlearn.base.progress import Progress, tracked, words
from tlearn.cli.isolation import isolated

# Two sizes of a probe inside advice, with lines of all kinds in between; the times are made short.
SCRIPT = """
import logging, os, sys, time, warnings
from tlearn.base import progress
from tlearn.base.progress import Progress, tracked

loggers = []
if "logs" in sys.argv:
    from tlearn.cli.quiet import quieten

    quieten()
    loggers = [logging.getLogger(name) for name in ("tlearn", "lightning.pytorch")]
progress.QUIET_S = progress.PLAIN_S = float(sys.argv[1])
with Progress("advise", 2, parts=True) as advice:
    with Progress(count=2, costs=[1, 4]) as sizes:
        for side_px in (64, 128):
            sizes.next(f"{side_px} px")
            for image in tracked(range(20), "", 20, "pictures"):
                time.sleep(0.03)
                if image == 15:
                    print(f"printed at {side_px} px", flush=True)
                    warnings.warn(f"warned at {side_px} px")
                    for logger in loggers:
                        logger.warning("%s logged at %d px", logger.name, side_px)
    advice.next("a part with a name that is far too long for any terminal " + 40 * "x")
    time.sleep(0.5)
    print("half a line", end="")
    sys.stdout.flush()
    time.sleep(0.5)
    print(", and the rest")
print("the end")
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("progress") / "work.py"
    path.write_text(SCRIPT)
    return path


def in_terminal(*words: str, columns: int = 80) -> str:
    """All that a program writes to a terminal of so many columns."""
    there, here = pty.openpty()
    fcntl.ioctl(here, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    surroundings = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    program = subprocess.Popen(words, stdin=here, stdout=here, stderr=here, env=surroundings | {"TERM": "xterm"})
    os.close(here)
    written = b""
    while True:
        try:
            part = os.read(there, 4096)
        except OSError:  # Linux says so when the other end is closed
            break
        if not part:
            break
        written += part
    assert program.wait() == 0
    os.close(there)
    return written.decode()


def shown(written: str) -> tuple[list[str], list[str]]:
    """The lines that a terminal shows at the end, and all lines of progress that were drawn on the way."""
    lines, drawn, plain = (
        list[str](),
        list[str](),
        re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", written.replace("\x1b[2K", "\0")),
    )
    for line in plain.split("\n"):
        *erased, last = line.removesuffix("\r").split("\r\0")
        drawn += [each for each in erased if each]
        lines.append(last)
    return lines, drawn


@pytest.mark.slow  # the other process imports torch and Lightning
def test_in_a_terminal_one_line_of_at_most_80_columns_that_vanishes(script: Path) -> None:
    lines, drawn = shown(in_terminal(sys.executable, str(script), "0.2", "logs"))
    kinds = ("printed", "warned", "tlearn logged", "lightning.pytorch logged")
    told = [f"{what} at {side} px" for side in (64, 128) for what in kinds]
    for text in told:  # none is glued to the line of progress
        assert sum(line == text or line.endswith(f"UserWarning: {text}") for line in lines) == 1, text
    assert [line for line in lines if "advise" in line or "━" in line] == []
    assert lines[-3:] == ["half a line, and the rest", "the end", ""]
    assert max(map(len, drawn)) <= 80
    assert any("advise 1/2, 128 px: " in line and " of 20 pictures, about " in line for line in drawn)
    assert any(line.endswith("s to part 2") for line in drawn)
    assert any("advise 2/2, a part with a name" in line and "…" in line for line in drawn)


def test_a_narrow_terminal_still_says_how_far(script: Path) -> None:
    _, drawn = shown(in_terminal(sys.executable, str(script), "0.2", columns=40))
    assert max(map(len, drawn)) <= 40
    assert any(" of 20" in line for line in drawn)


def test_without_a_terminal_plain_lines(script: Path) -> None:
    answer = subprocess.run([sys.executable, script, "0.4"], capture_output=True, text=True, check=True)
    lines = [line for line in answer.stderr.splitlines() if line.startswith("advise")]
    assert "\x1b" not in answer.stdout + answer.stderr
    assert "advise" not in answer.stdout
    assert 3 <= len(lines) <= 7
    assert re.fullmatch(r"advise 1/2, 128 px: \d+ of 20 pictures, about \d+ s to part 2", lines[2])


@pytest.mark.parametrize("run", ["in a terminal", "piped"])
def test_nothing_for_work_of_less_than_two_seconds(run: str, tmp_path: Path) -> None:
    path = tmp_path / "short.py"
    path.write_text(
        "from tlearn.base.progress import tracked\nimport time\n[time.sleep(0.2) for _ in tracked([1, 2, 3], 'x', 3)]"
    )
    assert progress.QUIET_S == 2.0
    assert progress.PLAIN_S == 30.0
    if run == "piped":
        answer = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True)
        assert answer.stdout + answer.stderr == ""
    else:
        assert in_terminal(sys.executable, str(path)) == ""


def opened(*works: Progress) -> list[Progress]:
    for work in works:
        work.open()
    return list(works)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """A clock that stands still until it is set."""
    now = {"s": 0.0}
    monkeypatch.setattr(time, "monotonic", lambda: now["s"])
    return now


def text(running: list[Progress], now_s: float) -> str:
    return "".join(words(running, now_s)[:2])


def test_the_time_left_comes_from_the_pace_of_like_work(clock: dict[str, float]) -> None:
    runs, epoch = opened(Progress("compare", 4), Progress("epoch", 10))
    runs.next("a, seed 0")
    epoch.done = 5
    # Half a run of four in 10 s: seven halves are to come.
    assert text([runs, epoch], 10.0) == "compare 1/4, a, seed 0, epoch: 5 of 10, about 70 s left"
    runs.close()


def test_the_first_steps_tell_of_all_of_it(clock: dict[str, float]) -> None:
    (runs,) = opened(Progress("run", 6))
    runs.next("a, seed 0")
    clock["s"] = 20.0  # until here the network was made
    epochs, batches = opened(Progress(count=10), Progress("training", 50, "batches"))
    epochs.next("epoch 1/10")
    batches.done = 5
    # 5 of 50 batches in 2 s: an epoch takes 20 s. The first run takes 20 s and ten epochs, and so does each of six.
    assert text([runs, epochs, batches], 22.0).endswith("training: 5 of 50 batches, about 22 min left")
    runs.close()


def test_work_of_unlike_parts_tells_the_time_to_the_next_part_alone(clock: dict[str, float]) -> None:
    parts, inner = opened(Progress("probe", 2, parts=True), Progress("128 px", 100, "pictures"))
    inner.done = 25
    assert text([parts, inner], 30.0) == "probe 1/2, 128 px: 25 of 100 pictures, about 90 s to part 2"
    inner.close()
    opened(inner)  # work that is opened inside is the next part, the last one here
    assert text([parts, inner], 30.0) == "probe 2/2, 128 px: 25 of 100 pictures, about 90 s left"
    parts.close()


def test_dear_steps_count_for_more(clock: dict[str, float]) -> None:
    (sizes,) = opened(Progress("pictures", 2, costs=[1, 3]))
    sizes.next("64 px")
    sizes.next("128 px")
    assert text([sizes], 5.0) == "pictures 2/2, 128 px, about 15 s left"
    sizes.close()


def test_how_far_alone_where_the_pace_is_not_known(clock: dict[str, float]) -> None:
    (work,) = opened(Progress("packing", 1000, "pictures"))
    assert text([work], 600.0) == "packing: 0 of 1,000 pictures"
    work.advance(5)
    assert text([work], 600.0) == "packing: 5 of 1,000 pictures"  # a half per cent says little
    work.advance(5)
    assert text([work], 600.0) == "packing: 10 of 1,000 pictures, about 16 h 30 min left"
    work.close()


def test_work_that_an_error_leaves_open_ends_with_what_it_is_in() -> None:
    before = list(progress._screen.running)
    items = tracked([1, 2], "inside", 2)
    with Progress("outside"):
        next(items)
    assert progress._screen.running == before


def test_a_command_that_fails_leaves_nothing_open() -> None:
    before = list(progress._screen.running)
    held = tracked([1, 2], "reading", 2)  # as a traceback holds a loop
    with isolated():
        next(held)
    assert progress._screen.running == before
