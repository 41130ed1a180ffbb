"""Show on stderr where long work is: one line in a terminal, which vanishes; without one a line every 30 seconds.

Work that is inside other work shares its line: ``compare 2/6, b, seed 1: 7 of 24, about 40 s left``. Whatever is
printed meanwhile stands above the line.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TextIO, TypeVar

_Item = TypeVar("_Item")

QUIET_S = 2.0  # shorter work shows nothing
PLAIN_S = 30.0  # between two lines where there is no terminal
_REDRAW_S = 0.2
_WIDEST, _BAR, _ROOM = 80, 8, 16  # columns: of the line, of its bar, and, at the least, of what is done
_SURE_S, _SURE, _LONG_S = 1.0, 0.05, 30.0  # a pace counts from so many seconds and such a share of the work on,
_SURE_IF_LONG = 0.01  # or after long from this share on: the first steps are slower than the rest


class Progress:
    """One piece of long work, from ``with`` or `open` on until it is closed. Any thread may advance it.

    Args:
        what: What is done, in a few words; nothing if its steps say it all.
        count: How many steps it has; ``None`` where nobody knows.
        unit: What the steps are: ``pictures``.
        costs: What each step costs beside the others, for the time left; all the same by default.
        parts: The steps are unlike each other, so that the pace of one says nothing of the next. Each work that is
            opened right inside is the next of them.

    Attributes:
        done: Steps that are done.
        note: Something else worth seeing, such as the loss.
    """

    def __init__(
        self,
        what: str = "",
        count: int | None = None,
        unit: str = "",
        *,
        costs: Sequence[float] | None = None,
        parts: bool = False,
    ) -> None:
        self.what, self.count, self.unit, self.parts = what, count, unit, parts
        self.done, self.step, self.note = 0, "", ""
        self.costs, self.names_steps, self._began_s = costs, False, 0.0

    def open(self) -> Progress:
        """Begin; the same as ``with``."""
        self._began_s = time.monotonic()
        _screen.open(self)
        return self

    def close(self) -> None:
        """End, and with it whatever is still open inside."""
        _screen.close(self)

    def __enter__(self) -> Progress:
        """Begin."""
        return self.open()

    def __exit__(self, *_: object) -> None:
        """End."""
        self.close()

    def next(self, step: str) -> None:
        """Begin the next step, and say what it is; the one before is done."""
        self.done, self.step, self.names_steps = self.done + self.names_steps, step, True

    def advance(self, steps: int = 1) -> None:
        """Note that so many more steps are done."""
        with _screen.lock:
            self.done += steps

    def place(self, has_work_inside: bool) -> int:
        """Return the number of the step under way, where that is known; else how many are done."""
        place = self.done + (self.names_steps or has_work_inside)
        return place if self.count is None else min(place, self.count)

    def share(self, inside: float) -> float:
        """Return the share of the work that is done, from 0 to 1; ``inside`` is that of the step under way."""
        if not self.count:
            return 0.0
        if self.costs is None:
            return min((self.done + inside) / self.count, 1.0)
        under_way = self.costs[self.done] * inside if self.done < len(self.costs) else 0.0
        return (sum(self.costs[: self.done]) + under_way) / max(sum(self.costs), 1e-12)

    def left_s(self, step_s: float | None, share: float, now_s: float) -> float | None:
        """Return the seconds left, by those of the step under way or by the share that is done; ``None`` if unknown."""
        took_s = now_s - self._began_s
        if not self.parts and self.count and step_s is not None:
            then = self.share(1.0)
            return step_s + (took_s + step_s) * (1 - then) / then
        if self.parts or took_s < _SURE_S or share < (_SURE if took_s < _LONG_S else _SURE_IF_LONG):
            return None
        return took_s * (1 - share) / share


def tracked(items: Iterable[_Item], what: str, count: int | None, unit: str = "") -> Iterator[_Item]:
    """Yield the items, and show how many there were, see `Progress`."""
    with Progress(what, count, unit) as progress:
        for item in items:
            yield item
            progress.advance()


@contextmanager
def closing_what_is_left() -> Iterator[None]:
    """Close in the end what an error left open, such as a loop over `tracked` that a traceback still holds."""
    before = len(_screen.running)
    try:
        yield
    finally:
        for left in _screen.running[before : before + 1]:
            left.close()


def words(running: Sequence[Progress], now_s: float) -> tuple[str, str, float]:
    """Say in two texts what is done and how far it is, and return the share that is done; the outermost work first."""
    *outer, last = running
    short = [each for each in running if each.what and each.count and (each.names_steps or each is not last)]
    named = [f"{each.what} {each.place(True):,}/{each.count:,}" if each in short else each.what for each in running]
    texts = [text for each, name in zip(running, named, strict=True) for text in (name, each.step)]
    says = last.what or last.unit or (last.names_steps and last.costs is None)
    counts = last.count and last not in short and says
    far = f": {last.place(False):,} of {last.count:,} {last.unit}".rstrip() if counts else ""
    share, left_s, left_of, shown, each_left_s = float(last.parts and last.names_steps), None, last, 0.0, None
    for each in reversed(running):
        shown = (share := each.share(share)) or shown
        if (each_left_s := each.left_s(each_left_s, share, now_s)) is not None:
            left_s, left_of, shown = each_left_s, each, share
    if left_s is not None:
        parts = [each for each in outer[: running.index(left_of)] if each.parts and each.done + 1 < (each.count or 0)]
        to = f"to part {parts[0].place(True) + 1}" if parts else "left"
        far += f", about {_duration(left_s)} {to}"
    notes = "".join(f", {each.note}" for each in running if each.note)
    return ", ".join(filter(None, texts)), far + notes, shown


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


class _Above:
    """A stream in place of stdout or stderr: what is written to it stands above the line."""

    def __init__(self, stream: TextIO, screen: _Screen) -> None:
        self.stream, self._screen = stream, screen

    def write(self, text: str) -> int:
        """Erase the line first; it is drawn again once the text has ended its own."""
        with self._screen.lock:
            self._screen.erase()
            self._screen.is_free = text.endswith("\n") or (self._screen.is_free and not text)
            written = self.stream.write(text)
            self.stream.flush()
            return written

    def __getattr__(self, name: str) -> Any:
        """Be the stream in everything else."""
        return getattr(self.stream, name)


class _Screen:
    """What is shown of all work: a thread draws, so that work which says nothing for long is seen too."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.running: list[Progress] = []
        self.is_free = True  # the cursor stands at the beginning of a line
        self._ended = threading.Event()
        self._drawing: Any = None  # the rich console on which the line stands
        self._replaced: dict[str, _Above] = {}

    def open(self, progress: Progress) -> None:
        """Put work inside the work that is open."""
        with self.lock:
            for around in self.running[-1:]:
                if around.parts:
                    around.next("")
            self.running.append(progress)
            if self.running == [progress]:
                self._ended = threading.Event()
                threading.Thread(target=self._show, args=(self._ended,), name="progress", daemon=True).start()

    def close(self, progress: Progress) -> None:
        """Take work away, with what is inside of it; with the last of it goes the line."""
        with self.lock:
            is_open = progress in self.running
            del self.running[self.running.index(progress) if is_open else len(self.running) :]
            if is_open and not self.running:
                self._ended.set()
                self.erase()
                for name, above in self._replaced.items():
                    if getattr(sys, name) is above:
                        setattr(sys, name, above.stream)
                self._replaced.clear()

    def erase(self) -> None:
        """Take the line off the terminal, if it is there."""
        from rich.control import Control
        from rich.segment import ControlType

        if self._drawing is not None:
            self._drawing.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))
            self._drawing = None

    def _show(self, ended: threading.Event) -> None:
        began_s = printed_s = time.monotonic()
        while not ended.wait(_REDRAW_S):
            now_s = time.monotonic()
            with self.lock:
                if ended.is_set() or now_s - began_s < QUIET_S or not _speaks():
                    continue
                try:
                    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
                        if not hasattr(sys.stderr, "rich_proxied_file"):  # else another bar of rich is drawn there
                            self._draw(now_s)
                    elif now_s - printed_s >= PLAIN_S:
                        printed_s = now_s
                        print("".join(words(self.running, now_s)[:2]), file=sys.stderr, flush=True)
                except (OSError, ValueError):  # nobody reads any more: the work goes on
                    return

    def _draw(self, now_s: float) -> None:
        from rich.console import Console
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        for name in ("stdout", "stderr"):
            if name not in self._replaced and getattr(sys, name).isatty():
                self._replaced[name] = _Above(getattr(sys, name), self)
                setattr(sys, name, self._replaced[name])
        if not self.is_free:
            return
        self.erase()
        console = Console(file=self._replaced["stderr"].stream, highlight=False)
        what, far, share = words(self.running, now_s)
        columns = min(console.width, _WIDEST) - 1  # a line that fills the last one wraps on some terminals
        has_bar = share > 0 and columns >= 2 * _ROOM
        head, tail = Text(what, end=""), Text(far, end="")
        columns -= (_BAR + 1) * has_bar
        head.truncate(max(columns - tail.cell_len, min(_ROOM, columns)), overflow="ellipsis")
        tail.truncate(columns - head.cell_len, overflow="ellipsis")
        with console:
            if has_bar:
                console.print(ProgressBar(total=1.0, completed=share, width=_BAR), Text(" ", end=""), end="", sep="")
            console.print(head + tail, end="", no_wrap=True, overflow="crop")
        self._drawing = console


def _speaks() -> bool:
    """Tell whether this process is the one that speaks: of several the first, and never a data worker."""
    ranks = (os.environ.get(name, "0") for name in ("RANK", "LOCAL_RANK"))
    return all(rank == "0" for rank in ranks) and multiprocessing.parent_process() is None


_screen = _Screen()
if hasattr(os, "register_at_fork"):  # a child has no such thread, and must not inherit a lock that it holds
    os.register_at_fork(
        before=lambda: _screen.lock.acquire(),
        after_in_parent=lambda: _screen.lock.release(),
        after_in_child=partial(_Screen.__init__, _screen),
    )
