"""``fit --budget``, and `tlearn.fit` with ``budget``: race members for the time there is, keep the best as a run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from tlearn.analysis.race.choice import FEWEST_TO_CHOOSE_BY, choose
from tlearn.analysis.race.halving import rungs
from tlearn.analysis.race.recipes import LAST, RANDOM, SCRATCH, heads_of, times_of, tuned_of
from tlearn.analysis.race.schedule import FINISHERS, Costs, Leg, missing_s, next_leg
from tlearn.analysis.race.scratch import nearness
from tlearn.base.errors import TlearnError
from tlearn.base.next_command import command_line, next_command
from tlearn.base.progress import Progress
from tlearn.cli.arguments import Arguments, VerbParser
from tlearn.commands.compare.lease import Lease
from tlearn.commands.race import text
from tlearn.commands.race.alone import alone_in, check_held
from tlearn.commands.race.budget import AUTO_FACTOR, TRAINING, Clock, seconds_of
from tlearn.commands.race.finish import finishers_of, make_result, race_facts
from tlearn.commands.race.members import Member, member_of, quietly, run_leg, why_left_out
from tlearn.commands.race.track import EPOCHS, Track, epochs_of_head, replaced, track_of, typed_epochs
from tlearn.training.callbacks.pausing import PauseCallback

_ALIKE = 1e-4  # of logits: a head that says the same of all pictures within this knows nothing


def run(arguments: Arguments) -> None:
    """Race as a command line says."""
    race(arguments)


def race(arguments: Arguments) -> Path:
    """Race, and make the run that is the result.

    Args:
        arguments: The command line of ``fit``, with ``--budget``.

    Returns:
        The folder of the run.

    Raises:
        TlearnError: The budget is no time, the race cannot choose, or whatever a fit refuses.
    """
    parser = VerbParser()
    parser.option("--budget", "a time, such as 90s, 10m or 2h, or auto", dest="budget")
    own, rest = parser.take(arguments)
    budget_s = seconds_of(own.budget)
    with text.saying_how_to_go_on(arguments.as_typed):
        clock = Clock(budget_s)
        track = track_of(rest)
        with alone_in(track.folder) as lease, Progress("race"):
            return _Race(track, clock, arguments.as_typed, own.budget, lease).run(rest)


class _Race:
    """One race.

    Args:
        track: What the members share.
        clock: Counts down the budget.
        typed: The command, as it was typed.
        budget: The budget, as it was typed.
        lease: The right to write into the folder of the members.
    """

    def __init__(self, track: Track, clock: Clock, typed: str, budget: str, lease: Lease) -> None:
        self.track, self.clock, self.typed, self.budget, self.lease = track, clock, typed, budget, lease
        self.task = track.data.task
        self.heads: list[Member] = []
        self.tuned: list[Member] = []
        self.first_s = 0.0  # what comes before the first training
        self.from_scratch = ""  # why a network is trained from random weights, or is not

    def run(self, arguments: Arguments) -> Path:
        """Solve the heads, race, choose, and make the result."""
        self._announce(arguments)
        stages = self._solve_heads()
        self.first_s = self.clock.elapsed_s + self.clock.spent_s  # auto is as long where heads were solved before
        if self._knows_something():
            names = tuned_of(stages, self.track.has_weights, self._random_is_near(stages))
            self.tuned = [member_of(self.track, name, stages, self.track.epochs * times_of(name)) for name in names]
            self.clock.spent_s += sum(member.seconds for member in self.tuned)
            self._train()
        return self._finish()

    def _announce(self, arguments: Arguments) -> None:
        images, data = f"{self.track.train_images:,} training and {self.track.data.images:,}", self.track.data
        classes = f", {len(data.class_names)} classes" if self.task != "regression" else ""
        text.say(f"race: {images} validation images{classes}, budget {self.budget}")
        epochs = f"{self.track.epochs} epoch{'s' if self.track.epochs > 1 else ''} each"
        typed = f", as {EPOCHS.removeprefix('--')} says" if typed_epochs(arguments) else ""
        text.say(f"first heads on the fixed network; then, as far as the time goes, networks train, {epochs}{typed}")
        if self.track.data.images < FEWEST_TO_CHOOSE_BY:
            text.say(
                f"{self.track.data.images} validation images choose badly: with fewer than {FEWEST_TO_CHOOSE_BY}, the "
                "result was worse than the head in 4 of our 15 trials. Let more pictures validate, if you can."
            )
        if set_anew := replaced(arguments):
            text.say(f"the race sets {', '.join(set_anew)} itself: those of the config do not hold")

    def _solve_heads(self) -> tuple[str, ...]:
        """Solve the floor, the last stage first; its network tells the stages that there are."""
        first = member_of(self.track, LAST, (), epochs_of_head(self.track))
        self._head(first)
        stages = tuple(first.stages)
        others = () if self.track.keeps_tap else heads_of(stages)[1:]
        for name in others:
            self._head(member_of(self.track, name, stages, epochs_of_head(self.track)))
        best = min(self.heads, key=lambda each: each.losses[-1])
        took = text.length(self.clock.elapsed_s)
        text.say(f"floor: the {text.called(best.name)}, after {took}; the result will be no worse, within noise")
        self.clock.reserve_s = 2 * max(member.seconds for member in self.heads)
        return stages

    def _head(self, member: Member) -> None:
        self.heads.append(member)
        if member.outcome == "finished":
            self.clock.spent_s += member.seconds
            text.say_leg(member, self.task, member.seconds, "finished before")
            return
        check_held(self.lease)
        with quietly(logging.WARNING if len(self.heads) > 1 else logging.INFO):
            cli = run_leg(self.track, member, lambda _: False, self.typed)
        member.stages = list(cli.model.backbone.tappable)
        member.write()
        text.say_leg(member, self.task, member.seconds, "finished")

    def _knows_something(self) -> bool:
        """Tell whether the heads tell any two pictures apart; else training is in vain."""
        found = [answers for member in self.heads if (answers := member.answers())]
        if any(float(each.outputs.std(dim=0).max()) > _ALIKE for each in found if len(each.outputs) > 1):
            return True
        text.say("the head answers the same to every picture, so nothing is trained: are they all alike?")
        return False

    def _random_is_near(self, stages: tuple[str, ...]) -> bool:
        """Tell whether a head on random weights comes near the best: a pass, where the time would do for the rest."""
        if not self.track.has_weights:
            self._say_on_scratch("The weights are random (model.weights is null): training from scratch comes first.")
            return False
        costs, best = self.costs, min(self.heads, key=lambda each: each.losses[-1])
        if self.clock.left_s < (AUTO_FACTOR + times_of(SCRATCH)) * costs.epochs * costs.epoch_s:
            return False
        try:
            self._head(member_of(self.track, RANDOM, stages, epochs_of_head(self.track)))
        except TlearnError as error:  # deep networks with random weights may overflow
            self.heads.pop()
            self._say_on_scratch(f"Random features are left out: {error}")
            return False
        random, known = (member.answers() for member in (self.heads[-1], best))
        assert random
        assert known
        found = nearness(self.task, random.outputs, known.outputs, random.targets)
        self._say_on_scratch(text.on_random_features(found))
        return found.is_near

    def _say_on_scratch(self, said: str) -> None:
        self.from_scratch = said
        text.say(said)

    @property
    def costs(self) -> Costs:
        """What training takes: as measured, else three times a pass."""
        known = [member for member in self.tuned if member.epoch_s is not None]
        measured = [member.epoch_s for member in known if not member.name.startswith("partial")]
        answers = self.heads[-1].answers()
        assert answers is not None
        pass_s = answers.pass_s / max(1, len(answers.outputs))
        guess = pass_s * (TRAINING * self.track.train_images + self.track.data.images)
        start_s = max((member.start_s for member in known), default=max(each.seconds for each in self.heads))
        return Costs(self.track.epochs, max((each for each in measured if each), default=guess), start_s)

    def _train(self) -> None:
        stops = rungs(self.track.epochs)
        text.say(text.on_names([each.name for each in self.tuned]))
        self._settle()
        for member in self.tuned:
            if member.outcome == "finished":
                text.say_leg(member, self.task, member.seconds, "finished before")
            elif member.outcome == "paused" and len(member.losses) >= member.planned:  # killed behind its last epoch
                self._leg(member, Leg(member.name, member.planned))
        while leg := next_leg([m.standing for m in self._running()], stops, self.costs, self.clock.left_s):
            member = next(each for each in self.tuned if each.name == leg.name)
            self._leg(member, leg)
        missing = missing_s([each.standing for each in self._running()], self.costs, self.clock.left_s)
        if missing and not any(each.outcome == "finished" for each in self.tuned):
            text.say_what_was_needed(self.clock.budget_s or 0.0, missing)
        ended = sum(each.outcome == "finished" for each in self.tuned) >= FINISHERS
        for member in self._running():
            if member.outcome != "finished":
                is_left = ended and len(member.losses) >= member.standing.at((stops or (1,))[0])
                member.why = "stopped halfway" if is_left else "no time left"

    def _running(self) -> list[Member]:
        return [member for member in self.tuned if member.outcome != "left out"]

    def _settle(self) -> None:
        """Let a budget of ``auto`` follow from what a whole run takes, as far as that is known."""
        costs = self.costs
        run_s, scratch_s = (costs.start_s + times * costs.epochs * costs.epoch_s for times in (1, times_of(SCRATCH)))
        if self.track.has_weights:
            self.clock.settle(self.first_s + run_s, scratch_s if self.tuned[-1].name == SCRATCH else 0.0)
        else:
            self.clock.settle(self.first_s + scratch_s)

    def _leg(self, member: Member, leg: Leg) -> None:
        before_s, done = member.seconds, len(member.losses)
        check_held(self.lease)
        with quietly(logging.WARNING):  # the heads have had the same warnings
            try:
                run_leg(self.track, member, self._is_due(member, leg), self.typed)
            except Exception as error:
                why = why_left_out(error)
                if why is None:
                    raise
                member.outcome, member.why = "left out", why
                member.write()
        self._settle()
        if member.outcome == "left out":
            text.say(f"{member.name} is left out: {member.why}")
            return
        then = str(member.outcome)
        if member.outcome == "paused":
            is_late = len(member.losses) < leg.until
            then = f"stopped: the time does not suffice for {member.planned} epochs" if is_late else "paused"
        text.say_leg(member, self.task, member.seconds - before_s, then)
        assert member.outcome == "finished" or len(member.losses) > done

    def _is_due(self, member: Member, leg: Leg) -> Callable[[PauseCallback], bool]:
        first = not any(each.losses for each in self.tuned if each is not member)
        begun = [each for each in self._running() if each is not member and each.losses]
        best = min(begun, key=lambda each: each.losses[-1], default=None)

        def is_due(pause: PauseCallback) -> bool:
            """Tell whether the leg is over, or what is left to do no longer fits."""
            member.epoch_s = sum(pause.seconds) / len(pause.seconds)
            self._settle()
            if pause.epochs >= leg.until:
                return True
            end = member.planned if first or best is None else leg.until
            after_s = 0.0
            if best is not None and not first and leg.until < member.planned:
                after_s = self.costs.of(best.standing, best.planned)
            return (end - pause.epochs) * member.epoch_s + after_s > self.clock.left_s + self.clock.grace_s

        return is_due

    def _finish(self) -> Path:
        members = [*self.heads, *self.tuned]
        finishers = finishers_of(self.task, members)
        targets = next(answers for each in members if (answers := each.answers())).targets
        choice = choose(self.task, finishers, targets)
        spent_s = round(self.clock.spent_s + self.clock.elapsed_s, 1)
        time = {"budget": self.budget, "budget_s": self.clock.budget_s, "spent_s": spent_s}
        with quietly(logging.WARNING):
            content = race_facts(self.track, members, finishers, choice, time | {"from_scratch": self.from_scratch})
            folder = make_result(self.track, choice, members, self.typed, content)
        print()
        print(text.table_of(members, finishers, self.task, choice.finisher))
        print()
        text.say(f"result: {' + '.join(map(text.called, choice.finisher.members))}")
        text.say(f"why: {choice.reason}")
        text.say(text.price(choice, members))
        checkpoint = folder / "checkpoints" / "best.ckpt"
        print(f"checkpoint  {checkpoint}\nreport      {folder / 'report.html'}")
        if self.track.has_test:
            print(f"next: {command_line('test', folder)}", flush=True)
        else:
            print(f"next: {next_command(checkpoint, pictures=True)}", flush=True)
        return folder
