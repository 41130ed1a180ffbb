"""What a race prints: a line for each member and leg, a table, the choice with its reason and price."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tlearn.analysis.race.choice import Choice, Finisher
from tlearn.analysis.race.paired import loss_and_score, loss_text
from tlearn.analysis.race.scratch import Nearness
from tlearn.base.intervals import percent
from tlearn.base.terminal.wrapping import filled
from tlearn.base.types import Task
from tlearn.commands.race.budget import AUTO
from tlearn.commands.race.members import Answers, Member
from tlearn.reporting.card.format import duration

_WIDTH = 80
_CALLED = {"last": "last-stage head", "head": "all-stage head", "random_head": "random features"}
_SCORE = {"classification": "acc", "multilabel": "map", "regression": "mae"}


def say(text: str = "") -> None:
    """Print a text in lines of 80 columns, behind what stderr has to show."""
    sys.stderr.flush()
    print(filled(text, _WIDTH), flush=True)


def called(name: str) -> str:
    """Return the name of a member as it is shown."""
    return _CALLED.get(name, name)


def length(seconds: float) -> str:
    """Say a time roughly: ``12 s``, ``4 min``, ``2 h 5 min``."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else duration(seconds)


def reached(task: Task, answers: Answers) -> str:
    """Say loss and score on the validation images: ``val loss 0.1834  acc 93.4 %``."""
    loss, score = figures(task, answers, answers)
    return f"val loss {loss}  {_SCORE[task]} {score}"


def say_leg(member: Member, task: Task, took_s: float, then: str) -> None:
    """Print the line of a member behind a leg.

    Args:
        member: The member.
        task: Of the race.
        took_s: Seconds of the leg.
        then: What happens to it next.
    """
    answers = member.answers()
    is_done = member.outcome == "finished" and answers is not None
    result = reached(task, answers) if is_done and answers else _loss(member)
    epochs = "" if member.planned == 1 else f"{len(member.losses)}/{member.planned} epochs  "
    print(f"{called(member.name):<15}  {epochs}{result}  {length(took_s)}, {then}", flush=True)


def _loss(member: Member) -> str:
    return f"val loss {member.losses[-1]:.4f}" if member.losses else "no epoch done"


def on_names(names: Sequence[str]) -> str:
    """Say what the names of trained members mean, those that race."""
    meanings = {
        "lp_ft": "lp_ft_R trains the whole network at the learning rate R",
        "partial": "partial_R only its deeper half",
        "scratch": "scratch all of it from random weights",
    }
    said = "; ".join(said for kind, said in meanings.items() if any(name.startswith(kind) for name in names))
    return f"a head is a new last layer, the network stays fixed; {said}"


def on_random_features(found: Nearness) -> str:
    """Say how near the head on random features comes to the best, and what follows."""
    than = (
        f"The same head on random weights has {loss_text(abs(found.loss))} {'more' if found.loss > 0 else 'less'} loss"
    )
    error = f"standard error {loss_text(found.error)}"
    if found.is_near:
        return f"{than} than the best one ({error}), which is near: a network is trained from scratch too."
    return f"{than} than the best one ({error}): training from scratch is not tried."


def table_of(members: list[Member], finishers: list[Finisher], task: Task, chosen: Finisher) -> str:
    """Return the table of what was run and what could be the result; a last line says what its star is."""
    answers = next(found for member in members if (found := member.answers()))
    known = {each.members[0]: each for each in finishers if len(each.members) == 1}
    rows = [("", "", "epochs", "val loss", _SCORE[task], "seconds", "")]
    for member in members:
        mark = "*" if (member.name,) == chosen.members else ""
        done = f"{len(member.losses)}/{member.planned}"
        loss, score = figures(task, known.get(member.name), answers)
        if not loss and member.losses and task != "regression":  # whose losses in training are of another unit
            loss = f"{member.losses[-1]:.4f}"
        rows.append((mark, called(member.name), done, loss, score, f"{member.seconds:.0f}", outcome_of(member)))
    for each in finishers:
        if len(each.members) > 1:
            loss, score = figures(task, each, answers)
            rows.append(
                ("*" if each is chosen else "", each.name, "", loss, score, "", f"mean of {each.passes} answers")
            )
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return "\n".join(
        [*(_row(row, widths) for row in rows), "* the result; what is finished answers as after its last epoch"]
    )


def _row(row: tuple[str, ...], widths: list[int]) -> str:
    left = f"{row[0]:<{max(widths[0], 1)}} {row[1]:<{widths[1]}}"
    right = "  ".join(f"{cell:>{width}}" for cell, width in zip(row[2:6], widths[2:6], strict=True))
    return f"{left}  {right}  {row[6]}".rstrip()


def figures(task: Task, of: Finisher | Answers | None, answers: Answers) -> tuple[str, str]:
    """Return loss and score on the validation images as they are shown; empty without outputs."""
    if of is None:
        return "", ""
    loss, score = loss_and_score(task, of.outputs, answers.targets)
    return f"{loss:.4f}", f"{-score:.4g}" if task == "regression" else percent(score)


def outcome_of(member: Member) -> str:
    """Say in a few words what became of a member."""
    if member.outcome == "finished":
        return "finished"
    if member.outcome == "left out":
        return "left out"
    return member.why or member.outcome


def price(choice: Choice, members: list[Member]) -> str:
    """Say what the result costs: passes for each picture, and what it took to make it."""
    passes = choice.finisher.passes
    took_s = sum(member.seconds for member in members if member.name in choice.finisher.members)
    it = "it" if passes == 1 else "them"
    of = f"to train {it} took {length(took_s)} of the race's {length(sum(member.seconds for member in members))}"
    if passes == 1:
        return f"price: one network answers, once a picture; {of}"
    return f"price: {passes} networks answer, so predicting takes {passes} times one network's time; {of}"


def say_what_was_needed(budget_s: float, missing_s: float) -> None:
    """Say after how much more time one network would have been trained to its end."""
    spent = budget_s + missing_s * 1.1
    wanted = f"{-(-spent // 60):.0f}m" if spent > 60 else f"{-(-spent // 10) * 10:.0f}s"
    say(
        f"no network could be trained to its end: one needs about {length(missing_s)} more, so type the same with "
        f"--budget {wanted}, or {AUTO}; what was trained is kept"
    )


@contextmanager
def saying_how_to_go_on(typed: str) -> Iterator[None]:
    """Say after an interruption that the same command goes on, where a run that was stopped has not said so."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if not getattr(interrupt, "__notes__", ()):
            interrupt.add_note(f"what was trained is kept; to go on: {typed}")
        raise
