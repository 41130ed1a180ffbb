"""Print what the stages of a network are worth: a line per stage, a block of lines per image size."""

from __future__ import annotations

from itertools import zip_longest

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tlearn.analysis.probe import Probe


def print_probe(found: Probe) -> None:
    """Print the table, the best tap and what it cost."""
    title = f"{found.score} in %, {found.train_images} training and {found.val_images} validation images"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("image size", "stage", "features", "ridge", "left out", "neighbours"):
        table.add_column(column, justify="left" if column == "stage" else "right", overflow="fold")
    for each, following in zip_longest(found.stages, found.stages[1:]):
        name = f"[bold]{each.stage} *[/]" if each == found.best else each.stage
        scores = [f"{100 * value:.1f}" for value in (each.ridge, each.left_out, each.neighbours)]
        ends = following is not None and following.image_size_px != each.image_size_px
        table.add_row(f"{each.image_size_px} px", name, f"{each.width:,}", *scores, end_section=ends)
    Console().print(table)
    print("ridge and neighbours: on validation; left out: each training image by a layer made without it; * the best")
    best, taps = found.best, ",".join(found.taps)
    tap = f"[{taps}]" if len(found.taps) > 1 else taps
    solved = "" if best.logistic is None else f", {100 * best.logistic:.1f} % by logistic regression"
    print(f"best tap: {best.stage} at {best.image_size_px} px: {100 * best.ridge:.1f} % by ridge{solved}")
    print(f"to use it: --model.freeze_backbone true --model.tap {tap} --model.image_size {best.image_size_px}")
    print_copies(found)
    passes = ", ".join(f"{time_s:.1f} s at {size} px" for size, time_s in found.pass_time_s.items())
    print(f"the passes over the network took {passes}; all of it {found.time_s:.1f} s")


def print_copies(found: Probe) -> None:
    """Warn of images that the network cannot tell apart, if there are any."""
    if found.copies:
        print(f"{found.copies} of {found.train_images} training images are copies of another: they add nothing")
    if found.shared:
        print(
            f"{found.shared} of {found.val_images} validation images are training images too: scores look better than "
            "they are; for picture files `python -m tlearn doctor --fix` leaves them out"
        )
