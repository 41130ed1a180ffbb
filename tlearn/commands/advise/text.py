"""Print advice: a line per strategy, then why, in words that a beginner understands."""

from __future__ import annotations

import textwrap
from copy import deepcopy
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tlearn.analysis.decision import Decision, Price
from tlearn.analysis.measurements import Measurements, best_by_size, pooled
from tlearn.base.intervals import percent
from tlearn.commands.advise.own_size import NAME as OWN_SIZE
from tlearn.commands.advise.own_size import price_of
from tlearn.commands.probe import print_copies, print_new_group, score_words

_LITTLE, _LIKE, _UNLIKE, _WORTH = 50, 0.25, 1.0, 0.02
_WIDEST = 100  # columns of text
_SAID = {"lp_ft": "LP-FT", "frozen": "the solved head alone", "tap": "the solved head alone"}


def expectation(measured: Measurements, decision: Decision) -> dict[str, Any]:
    """Return what is expected of the advice, for the config: the report of its run sets it beside what came of it.

    The ``options`` tell whether a run still follows the advice.
    """
    choice = decision.choice
    shares = {name: round(float(getattr(choice, name)), 6) for name in ("score", "low", "high")}
    options = deepcopy({"image_size": measured.size_px, **choice.candidate.options})  # else YAML would refer to them
    return {"strategy": choice.candidate.name, "of": measured.probe.score, **shares, "options": options}


def print_advice(measured: Measurements, decision: Decision) -> None:
    """Print the table, the advice, and a line for each reason."""
    title = f"expected {measured.probe.score} at {measured.size_px} px, and what a fit costs on this machine"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("strategy", overflow="fold")
    for column in (f"{measured.probe.score} %\n[90 % interval]", "seconds", "peak\nMB"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("what it does", overflow="fold")
    for each in decision.outlooks:
        name = f"[bold]{each.candidate.name} *[/]" if each is decision.choice else each.candidate.name
        interval = f"{100 * each.score:.1f} \\[{100 * each.low:.0f}, {100 * each.high:.0f}]"
        memory = f"{each.peak_memory_bytes / 1e6:,.0f}" if each.peak_memory_bytes else "-"
        table.add_row(name, interval, f"{each.time_s:,.0f}", memory, each.candidate.what)
    console = Console()
    console.print(table)
    print_copies(measured.probe)
    print_new_group(measured.probe)
    columns = min(console.width, _WIDEST) - 1
    first, *reasons = _sentences(measured, decision)
    print(textwrap.fill(first, columns))
    for reason in reasons:
        print(textwrap.fill(reason, columns, initial_indent="- ", subsequent_indent="  "))


def size_of(measured: Measurements, decision: Decision) -> int:
    """Return the image size of what is advised."""
    return int(decision.choice.candidate.options.get("image_size", measured.size_px))


def price_line(price: Price) -> str:
    """Say what the other choice brings and costs: ``LP-FT: -0.1 [-3.1, +2.8] points for 617 s more``."""
    seconds = f"{abs(price.time_s):,.0f} s {'more' if price.time_s >= 0 else 'less'}"
    return f"{_SAID.get(price.name, price.name)}: {price.points} for {seconds}"


def why(measured: Measurements, decision: Decision) -> str:
    """Say why, in one paragraph, with the numbers."""
    return " ".join(_sentences(measured, decision))


def _sentences(measured: Measurements, decision: Decision) -> list[str]:
    choice = decision.choice
    said = (
        f"Advice: {choice.candidate.name} at {size_of(measured, decision)} px ({choice.candidate.what}).",
        _labels(measured),
        _head(measured),
        _sizes(measured),
        _own_size(measured, decision),
        _pretraining(measured),
        _similarity(measured),
        _pilots(measured),
        _choice(decision),
        _stages(measured, decision),
        _rate(choice.candidate.options),
        _more(measured),
    )
    return [sentence for sentence in said if sentence]


def _labels(measured: Measurements) -> str:
    budget = f"and training may take {measured.epochs} epochs, {measured.steps} steps (trainer.max_epochs)"
    if measured.task != "classification":
        return f"You have {measured.probe.train_images} training images, {budget}."
    much = "little" if measured.labels_per_class < _LITTLE else "not little"
    return f"You have {measured.labels_per_class:.0f} labelled images a class to train on, which is {much}, {budget}."


def _head(measured: Measurements) -> str:
    probe = measured.probe
    images = probe.train_images + probe.val_images  # each was predicted unseen
    last, best = (score_words(probe, pooled(each, probe), images) for each in (measured.last, measured.best))
    text = f"With the network fixed, a linear head on its last stage reaches {last}"
    if measured.best == measured.last:
        return f"{text}; no earlier stage reaches more."
    where = "on all stages side by side" if measured.best.stage == "all" else f"on {measured.best.stage}"
    return f"{text}; {where} it reaches {best}."


def _sizes(measured: Measurements) -> str:
    scores = best_by_size(measured.probe)
    if len(scores) < 2:
        return ""
    seen = ", ".join(f"{percent(score)} at {size} px" for size, score in scores.items())
    return (
        f"The image size decides too: the best head reaches {seen}; the smallest within the noise of the best is taken."
    )


def _own_size(measured: Measurements, decision: Decision) -> str:
    """Say what the size that the weights were trained at would bring, and what it costs."""
    found, own = measured.own_size, next((o for o in decision.outlooks if o.candidate.name == OWN_SIZE), None)
    if found is None or own is None:
        return ""
    head = decision.outlooks[decision.outlooks.index(own) - 1]
    price = price_of(found, head, own, measured)
    text = (
        f"The network learned from pictures of {found.size_px} px. At that size a head has {percent(found.there)} of "
        f"{found.images} training images right that it was made without, at {measured.size_px} px "
        f"{percent(found.here)}: {price.points}, for {price.time_s:,.0f} s more."
    )
    return text if own is decision.choice else f"{text} To take it: --model.image_size {found.size_px}."


def _pretraining(measured: Measurements) -> str:
    if measured.random_score is None:
        return "There are no weights to transfer from: model.weights is null."
    gain = pooled(measured.best, measured.probe) - measured.random_score
    text = f"The same network with random weights reaches {percent(measured.random_score)} that way, so what yours has "
    return text + (f"learned is worth {100 * gain:.1f} points here." if gain > _WORTH else "learned is of no use here.")


def _similarity(measured: Measurements) -> str:
    shifts = measured.batch_norm_shift
    if not shifts:
        return ""
    last = list(shifts.values())[-1]
    like = "like" if last < _LIKE else "unlike" if last > _UNLIKE else "not quite like"
    stage = list(shifts)[-1]
    return (
        f"Your pictures look {like} those it learned from: the inputs of {stage} differ from what BatchNorm remembers "
        f"of those by {last:.2f} standard deviations (0 would be the same)."
    )


def _pilots(measured: Measurements) -> str:
    if not measured.pilots or measured.frozen_val_loss is None:
        return ""
    runs = ", ".join(f"{p.candidate} {p.val_loss:.2f} after {p.steps} steps" for p in measured.pilots)
    before = f"{measured.frozen_val_loss:.2f} (fixed network)"
    return f"In short real trials the loss on validation went from {before} to: {runs}."


def _choice(decision: Decision) -> str:
    choice = decision.choice
    interval = f"nine times in ten between {100 * choice.low:.0f} and {100 * choice.high:.0f}"
    return f"{decision.reason} Expected of it: {percent(choice.score)} ({interval})."


def _stages(measured: Measurements, decision: Decision) -> str:
    """Say why a head on all stages is taken where the last alone looks better: the table shows both."""
    last, best = (pooled(each, measured.probe) for each in (measured.last, measured.best))
    if decision.choice.candidate.name == "frozen" or measured.best.stage != "all" or last <= best:
        return ""
    return (
        "The last stage alone looks better by less than the noise, at the same cost: in 28 of 31 scenarios all stages "
        "side by side were as good or better, by 5.5 points in the mean."
    )


def _rate(options: dict[str, Any]) -> str:
    if "optimizer" not in options:
        return "Its head is solved, so that it has no learning rate."
    name, rate = options["optimizer"]["class_path"], options["optimizer"]["init_args"]["lr"]
    return f"It trains by {name} from a learning rate of {rate:g} down to 0."


def _more(measured: Measurements) -> str:
    if measured.forecast is None:
        return "There are too few images to tell what more labels would bring."
    found = measured.forecast
    if found.is_flat:
        return "The last doubling of the labels brought less than its noise: more may bring a fixed network little."
    return (
        f"Twice the labels would be worth about {100 * found.gain:+.1f} points to a fixed network "
        f"({100 * found.low:+.1f} to {100 * found.high:+.1f})."
    )
