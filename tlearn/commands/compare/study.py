"""Optuna's study of a sweep: in this process alone, or in a storage that several workers share."""

from __future__ import annotations

import json
import sys
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tlearn.base.errors import TlearnError, one_line
from tlearn.base.files import write_whole
from tlearn.commands.compare.swept import Swept, as_typed

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

_PATIENCE_S = 60.0  # of SQLite, for a lock of another worker
_PLACE, _PLACE_FILE = "runs", "study.json"
_DIGITS = 4  # of a number that is drawn, so that its name is all of it
_LOG_FROM = 10  # ends further apart than this factor: numbers of every size are as likely
_SEED = 0
_OPENING_FAULTS = (OSError, ValueError, KeyError, RuntimeError, ImportError)  # also of a file that is no journal


def need_optuna() -> None:
    """Import Optuna, and let it say warnings alone.

    Raises:
        TlearnError: It is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise TlearnError("--trials needs Optuna: pip install 'tlearn[sweep]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def open_study(storage: str | None, name: str, folder: Path, maximize: bool) -> optuna.Study:
    """Open the study of this name, or begin it.

    Args:
        storage: A file or the URL of a database; ``None`` keeps it in this process.
        name: Name of the study in the storage.
        folder: Where its runs are leased. The storage remembers which folder that is.
        maximize: Whether higher scores are better.

    Raises:
        TlearnError: The storage cannot be opened, or the study was begun with other runs.
    """
    import optuna

    direction: Literal["maximize", "minimize"] = "maximize" if maximize else "minimize"
    if storage is None:
        return optuna.create_study(direction=direction)
    with storage_faults(storage, _OPENING_FAULTS):
        opened = _opened(storage)
        others = [each for each in optuna.get_all_study_names(opened) if each != name]
        study = optuna.create_study(storage=opened, study_name=name, direction=direction, load_if_exists=True)
        if not study.trials and (alike := [each for each in others if _of(each) == _of(name)]):
            print(
                f"{_shown(storage)} holds {len(alike)} other stud{'ies' if len(alike) > 1 else 'y'} of {_of(name)}, "
                f"with other options or data; {name} begins anew",
                file=sys.stderr,
            )
        _check_place(study, storage, folder)
    return study


def _check_place(study: optuna.Study, storage: str, folder: Path) -> None:
    """Refuse a study whose runs are in another folder: workers that do not see each other's would all do each trial."""
    file, known = folder / _PLACE_FILE, study.user_attrs.get(_PLACE)
    if known is None:
        known = {"id": uuid.uuid4().hex, "folder": str(folder.absolute())}
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(known))
        study.set_user_attr(_PLACE, known)
    here = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    if here != known:
        raise TlearnError(
            f"--storage {_shown(storage)}: the runs of this study are in {known['folder']}, which is not "
            f"{folder.absolute()} or was removed; work in that folder, or name another storage"
        )


def _opened(storage: str) -> BaseStorage:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    if "://" in storage:
        waits = {"connect_args": {"timeout": _PATIENCE_S}} if storage.startswith("sqlite") else {}
        return RDBStorage(storage, engine_kwargs=waits)
    _check_journal(Path(storage))
    # Holds on NFS from version 3 on, and on Windows, where symbolic links, its other lock, need rights.
    return JournalStorage(JournalFileBackend(storage, lock_obj=JournalFileOpenLock(storage)))


def _check_journal(path: Path) -> None:
    """Refuse a file that is none of Optuna's journals, before a line is added to it."""
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        return
    with path.open("rb") as file:
        first = json.loads(file.readline())
    if not isinstance(first, dict) or "op_code" not in first:
        raise ValueError("no journal of Optuna")


@contextmanager
def storage_faults(storage: str, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Put what a storage cannot do into one line.

    Args:
        storage: A file or a URL.
        also: Exceptions of others that are its faults too.

    Raises:
        TlearnError: The storage cannot be opened, read or written.
    """
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    faults: tuple[type[Exception], ...] = (OptunaError, SQLAlchemyError, *also)
    try:
        yield
    except faults as error:
        what = "a file or a URL such as sqlite:///sweep.db or postgresql://HOST/NAME"
        said = one_line(getattr(error, "orig", None) or error, 200)
        raise TlearnError(f"--storage {_shown(storage)} cannot be used: expected {what}; {said}") from error


def _shown(storage: str) -> str:
    """Write a storage without the password in it."""
    scheme, is_url, rest = storage.partition("://")
    return f"{scheme}://...@{rest.rpartition('@')[2]}" if is_url and "@" in rest else storage


def _of(name: str) -> str:
    return name.rpartition("-")[0]


def sampler_of(slot: int) -> optuna.samplers.BaseSampler:
    """Make what draws the trial of a slot: its seed is the slot's, so that the first draws do not depend on workers."""
    import optuna

    with warnings.catch_warnings():
        # Stable in Optuna 5. Trials that others have begun count as bad, so that two do not try the same.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=_SEED + slot, constant_liar=True)


def draw(trial: optuna.Trial, swept: Sequence[Swept]) -> dict[str, Any]:
    """Let Optuna choose the values, by option."""
    for each in swept:
        if each.ends is None:
            trial.suggest_categorical(each.option, [as_typed(value) for value in each.values])
            continue
        lowest, highest = each.ends
        log = drawn_in_logs(lowest, highest)
        if isinstance(lowest, int) and isinstance(highest, int):
            trial.suggest_int(each.option, lowest, highest, log=log)
        else:
            trial.suggest_float(each.option, lowest, highest, log=log)
    return choice_of(trial.params, swept)


def choice_of(params: dict[str, Any], swept: Sequence[Swept]) -> dict[str, Any]:
    """Return the values of a trial; numbers have so few digits that the variant's name holds them all."""
    choice = dict[str, Any]()
    for each in swept:
        drawn = params[each.option]
        if each.ends is None:
            drawn = each.values[[as_typed(value) for value in each.values].index(drawn)]
        choice[each.option] = float(f"{drawn:.{_DIGITS}g}") if each.ends and isinstance(drawn, float) else drawn
    return choice


def drawn_in_logs(lowest: float, highest: float) -> bool:
    """Tell whether numbers between these ends are drawn evenly in their logarithm, not in themselves."""
    return lowest > 0 and highest / lowest > _LOG_FROM
