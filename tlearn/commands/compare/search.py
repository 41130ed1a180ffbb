"""``fit --sweep ... --trials N``: Optuna's TPE chooses N variants, for this process or for all that share a storage.

The N trials are slots. A worker takes the lowest slot that nobody has, under a lease as for a run. A study holds each
trial that was begun for a slot: more than one where a worker died.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlearn.base.errors import TlearnError
from tlearn.base.feature_store import key_of
from tlearn.base.places import DEFAULT_ROOT
from tlearn.base.progress import Progress
from tlearn.cli.arguments import Arguments
from tlearn.commands.compare.compare import saying_what_is_kept
from tlearn.commands.compare.identity import CheckedVariant
from tlearn.commands.compare.lease import Lease, Leases
from tlearn.commands.compare.runs import Entrant, Experiment, RunResult, scores_of
from tlearn.commands.compare.sharing import Patience, fit_together
from tlearn.commands.compare.study import choice_of, draw, need_optuna, open_study, sampler_of, storage_faults
from tlearn.commands.compare.swept import Swept, variant_of

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

_SLOT, _LEFT_OUT = "slot", "left_out"
_HASH = 12  # digits


def search(
    experiment: Experiment, arguments: Arguments, swept: Sequence[Swept], own: Namespace
) -> dict[str, list[RunResult]]:
    """Draw and fit as many variants as ``--trials`` says, and return variant name to results, in the order of slots.

    Raises:
        OthersAreAtItError: Others are at the last trials, and ``--no-wait`` is given.
        TlearnError: Optuna is not installed, a fault of the storage, or whatever a fit refuses.
    """
    need_optuna()
    corner = {each.option: each.values[0] if each.ends is None else each.ends[0] for each in swept}
    checked = experiment.check(variant_of(arguments, corner))
    found = _Search(experiment, arguments, swept, own.trials, own.storage, checked)
    guarded = nullcontext() if own.storage is None else storage_faults(own.storage)
    with guarded, saying_what_is_kept():
        found.do_all(Patience(not own.no_wait, "trial"))
    return found.results()


class _Search:
    """The trials of a sweep.

    Args:
        experiment: Takes the variants.
        arguments: The command line without the sweep.
        swept: What is drawn.
        count: Number of slots.
        storage: A file, a URL, or ``None``.
        checked: One of the variants, for the study's identity.
    """

    def __init__(
        self,
        experiment: Experiment,
        arguments: Arguments,
        swept: Sequence[Swept],
        count: int,
        storage: str | None,
        checked: CheckedVariant,
    ) -> None:
        self._experiment, self._arguments, self._swept, self._count = experiment, arguments, swept, count
        data = checked.data
        said = [[each.option, each.values, each.ends] for each in swept]
        identity = {"config": checked.config_hash, "train": data.train, "val": data.val, "swept": said}
        name = f"{arguments.run_name}-{key_of({**identity, 'seeds': experiment.seeds})[:_HASH]}"
        root = Path(checked.plain["trainer"]["default_root_dir"] or DEFAULT_ROOT)
        self._folder = root / "sweep" / arguments.run_name / f"study-{name.rpartition('-')[2]}"
        self._leases = Leases() if storage else None
        with self._one_at_a_time():
            self._study = open_study(storage, name, self._folder, maximize=data.task != "regression")
        self._done = dict[str, list[RunResult]]()  # of what is left out no result

    def do_all(self, patience: Patience) -> None:
        """Do slots until each is done, by this process or by another."""
        with Progress("trial", self._count) as progress:
            while open_slots := self._open_slots():
                progress.done = self._count - len(open_slots)
                if not any(self._do(slot) for slot in open_slots):
                    patience.wait(len(open_slots))

    def results(self) -> dict[str, list[RunResult]]:
        """Return what came of all slots; what is missing on the disk is done again."""
        last = {trial.user_attrs[_SLOT]: trial for trial in self._trials() if _is_done(trial)}
        names = list[str]()
        for slot in range(self._count):
            names.append(self._entrant(choice_of(last[slot].params, self._swept)).name)
        missing = [each for each in self._experiment.entrants if each.name in names and each.name not in self._done]
        with saying_what_is_kept(), Progress("run", len(missing)) as progress:
            self._done |= fit_together(missing, progress)
        found = {name: self._done[name] for name in dict.fromkeys(names) if self._done.get(name)}
        if not found:
            raise TlearnError("the loss of every trial became no number, nothing is left to compare; lower the rates")
        return found

    def _do(self, slot: int) -> bool:
        """Do a slot; ``False`` where another worker has it."""
        lease = self._lease(slot)
        if lease is None:
            return False
        with lease:
            trial = self._begun(slot)
            if trial is not None:
                self._fit(slot, trial)
        return True

    def _fit(self, slot: int, trial: optuna.Trial) -> None:
        from optuna.trial import TrialState

        choice = choice_of(trial.params, self._swept)
        entrant = self._entrant(choice)
        print(f"\ntrial {slot + 1} of {self._count}: {entrant.name}", flush=True)
        if entrant.name not in self._done:  # of few values one is drawn again
            with Progress() as progress:
                self._done[entrant.name] = fit_together([entrant], progress).get(entrant.name, [])
        if results := self._done[entrant.name]:
            self._study.tell(trial, float(scores_of(results).mean()))
        else:
            trial.set_user_attr(_LEFT_OUT, True)
            self._study.tell(trial, state=TrialState.FAIL)

    def _begun(self, slot: int) -> optuna.Trial | None:
        """Begin the trial of a slot that this process holds; ``None`` if it was done meanwhile.

        A trial of a worker that died is marked as failed, and its values are taken again.
        """
        from optuna.trial import TrialState

        with self._one_at_a_time():
            before = [trial for trial in self._trials() if trial.user_attrs.get(_SLOT, slot) == slot]
            if any(map(_is_done, before)):
                return None
            for lost in before:  # one without a slot: its worker died before it could say which
                if lost.state == TrialState.RUNNING:
                    self._study.tell(lost.number, state=TrialState.FAIL)
            whole = [lost.params for lost in before if len(lost.params) == len(self._swept)]
            if whole:
                self._study.enqueue_trial(whole[-1], user_attrs={_SLOT: slot})
            self._study.sampler = sampler_of(slot)
            trial = self._study.ask()
            while trial.user_attrs.get(_SLOT, slot) != slot:  # left by a worker that died between these lines
                self._study.tell(trial, state=TrialState.FAIL)
                trial = self._study.ask()
            trial.set_user_attr(_SLOT, slot)
            draw(trial, self._swept)
            return trial

    def _entrant(self, choice: dict[str, Any]) -> Entrant:
        variant = variant_of(self._arguments, choice)
        if all(checked.variant.name != variant.name for checked in self._experiment.variants):
            self._experiment.enter(variant)
        return next(each for each in self._experiment.entrants if each.name == variant.name)

    def _open_slots(self) -> list[int]:
        done = {trial.user_attrs[_SLOT] for trial in self._trials() if _is_done(trial)}
        return [slot for slot in range(self._count) if slot not in done]

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _lease(self, slot: int) -> Lease | nullcontext[None] | None:
        return nullcontext() if self._leases is None else self._leases.take(self._folder / f"trial-{slot}")

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Draw while no other worker does, so that each knows what the others draw."""
        with nullcontext() if self._leases is None else self._leases.waiting_for(self._folder):
            yield


def _is_done(trial: FrozenTrial) -> bool:
    from optuna.trial import TrialState

    if _SLOT not in trial.user_attrs:
        return False
    return trial.state == TrialState.COMPLETE or (trial.state == TrialState.FAIL and _LEFT_OUT in trial.user_attrs)
