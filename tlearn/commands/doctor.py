"""The verb ``doctor``, and `tlearn.doctor`: look at every picture file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple, get_args, overload

from rich.console import Console
from rich.text import Text

from tlearn.base.errors import TlearnError
from tlearn.base.files import check_folder_of, write_whole
from tlearn.base.next_command import command_line
from tlearn.base.notebook.html_table import html_table
from tlearn.base.progress import Progress
from tlearn.cli.arguments import Arguments, VerbParser, with_own
from tlearn.cli.isolation import called_from_python
from tlearn.cli.targets.calls import arguments_of
from tlearn.commands.drift.drift import drift
from tlearn.commands.untrained import untrained
from tlearn.data.datamodule import Split
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.doctor.diagnosis import diagnose, summary_of
from tlearn.data.doctor.groups import group_findings
from tlearn.data.doctor.label_list import label_list_facts, label_list_findings
from tlearn.data.doctor.lists import diagnose_labels, names_and_places, rare_classes, skipped_files
from tlearn.data.doctor.numbers import lines_of, numbers_of
from tlearn.data.doctor.words import finding_lines, split_line
from tlearn.data.files.exclusions import EXCLUSIONS, read_exclusions, write_exclusions
from tlearn.data.files.findings import Finding, Picture
from tlearn.data.sources.labelled_files import ImageFilesDataModule
from tlearn.deploy.drift.against import Drift
from tlearn.models.reliability.drift import LEVEL

_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def print_findings(
    summary: Mapping[str, Mapping[str, Any]], findings: Sequence[Finding], reading: Reading | None = None
) -> None:
    """Print a line for each split, what files of more than 8 bits hold, and what was found, with the first files.

    Args:
        summary: What is known of each split.
        findings: What was found.
        reading: What becomes black and white in these files.
    """
    console = Console(highlight=False)
    lines = [split_line(split, about) for split, about in summary.items()]
    numbers = {split: about["numbers"] for split, about in summary.items() if about.get("numbers")}
    for line in [*lines, *lines_of(numbers, reading or Reading(), console.encoding)]:
        console.print(Text(line), soft_wrap=True)
    if not findings:
        console.print("nothing found")
    for finding in findings:
        for number, line in enumerate(finding_lines(finding, console.width if console.is_terminal else None)):
            text = Text(line)
            if number == 0:
                text.stylize(_COLOURS[finding.severity], 0, len(finding.severity))
            console.print(text, soft_wrap=True)


_SHOWN = 3  # groups of files


class Findings(list[Finding]):
    """What was found: a list, which a notebook shows as a table."""

    def _repr_html_(self) -> str:
        """Show the findings in a notebook."""
        rows = [
            (
                each.severity,
                each.what,
                ", ".join(name for group in each.files[:_SHOWN] for name in group),
                len(each.exclude) or None,
            )
            for each in self
        ]
        return html_table(rows, ("", "found", "files", "left out by fix"), "" if rows else "nothing found")


@overload
def doctor(
    config: str | Path | Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    fix: bool = False,
    out: str | Path | None = None,
) -> list[Finding]: ...
@overload
def doctor(
    config: str | Path | Sequence[str | Path],
    *,
    against: str | Path,
    level: float = LEVEL,
    out: str | Path | None = None,
) -> Drift: ...
def doctor(
    config: str | Path | Sequence[str | Path] | Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    fix: bool = False,
    out: str | Path | None = None,
    against: str | Path | None = None,
    level: float = LEVEL,
) -> list[Finding] | Drift:
    """Look at every picture file of all splits, as ``tlearn doctor`` does, or compare new pictures with a run.

    Args:
        config: A folder of pictures, a table or a config, as for `tlearn.fit`; with `against` new pictures, as the
            `data` of `tlearn.predict`.
        options: Dotted option names to values; they beat the config.
        fix: Put broken files, copies and contrary labels on the list ``tlearn-exclude.json`` beside the pictures. A fit
            leaves them out; no file is deleted.
        out: A JSON file to write all that was found to.
        against: A run folder, or a checkpoint: are the new pictures like those that it has learned from?
        level: With `against`, how often a difference may be found where there is none.

    Returns:
        What was found. A fit stops at findings whose ``severity`` is ``error``. With `against`, the comparison.

    Raises:
        TlearnError: The data are no picture files, or something cannot be written; see also
            `tlearn.commands.drift.drift.drift`.
    """
    if against is not None:
        if fix or options or config is None or isinstance(config, Mapping):
            raise TlearnError("doctor with against takes new pictures, level and out, and nothing else")
        with called_from_python():
            return drift(config, against, level=level, out=None if out is None else Path(out))
    assert config is None or isinstance(config, (str, Path, Mapping)), "several places are compared with a run"
    with called_from_python():
        words = arguments_of("doctor", config, with_own(options, out=out))
        words.options.extend(["--fix"] if fix else [])
        looked = _look(words)
        excluded = _excluded(looked)
        if looked.out is not None:
            _write(looked.out, looked, excluded)
        return Findings(looked.findings)


def run(arguments: Arguments) -> None:
    """Print and write what is found in the pictures, and leave out what ``--fix`` may.

    Raises:
        TlearnError: A fit would stop at what was found.
    """
    looked = _look(arguments)
    out, data = looked.out or Path("doctor.json"), looked.data
    print_findings(looked.splits, looked.findings, data.framing.reading)
    excluded = _excluded(looked)
    could_fix = not looked.fix and any(finding.exclude for finding in looked.findings)
    if looked.fix and excluded:
        print(f"{len(excluded)} pictures are left out from now on: {data.root / EXCLUSIONS}")
    elif looked.fix:
        print("nothing to leave out")
    elif could_fix:
        print(f"--fix puts them on the list {data.root / EXCLUSIONS}; no file is deleted")
    _write(out, looked, excluded)
    print(f"every file by name: {out}")
    _refuse_errors(data, looked.findings, looked.fix)
    print(f"next: {command_line(*_next_words(looked, could_fix))}")


def _next_words(looked: _Looked, could_fix: bool) -> list[str]:
    if could_fix:
        return ["doctor", *looked.words, "--fix"]
    if looked.data.class_names or looked.data.task == "regression":
        return ["advise", *looked.words]
    return ["label", *looked.words, "--next", "50"]


class _Looked(NamedTuple):
    data: ImageFilesDataModule
    pictures: list[Picture]
    findings: list[Finding]
    splits: dict[str, Any]
    fix: bool
    out: Path | None
    words: list[str]  # behind the verb, without the doctor's own


def _look(arguments: Arguments) -> _Looked:
    parser = VerbParser()
    parser.flag("--fix")
    parser.option("--out", "the name of a file to write", Path)
    own, arguments = parser.take(arguments)
    check_folder_of(own.out or Path("doctor.json"))
    cli = untrained(replace(arguments, verb="fit"), makes="data")
    data = cli.data
    if not isinstance(data, ImageFilesDataModule):
        raise TlearnError(f"doctor looks at picture files; {type(data).__name__} has none of its own")
    pictures, findings = _pictures_of(data)
    pictures, first = names_and_places(data, pictures)
    findings += [*first, *skipped_files(data), *label_list_findings(data.listed)]
    names = data.class_names if data.task == "classification" else []
    is_pretrained = cli.plain["model"]["weights"] is not None
    with Progress("comparing pictures"):
        findings += diagnose(pictures, names, data.framing, is_pretrained, data.task)
    findings += _targets(data, pictures)
    findings += group_findings(pictures, data.group, data.on_error == "error", data.folders_above)
    left_out = {name for finding in findings for name in finding.exclude} if own.fix else set()
    findings += rare_classes(data, pictures, left_out)
    summary = summary_of(pictures)
    for split, numbers in numbers_of(pictures, data.framing.reading).items():
        summary[split]["numbers"] = numbers
    return _Looked(data, pictures, findings, summary, own.fix, own.out, arguments.again())


def _excluded(looked: _Looked) -> dict[str, str]:
    """Return the files that are left out, with the reasons; with ``fix`` write the list first."""
    data, excluded = looked.data, read_exclusions(looked.data.root)
    if looked.fix:
        excluded |= {name: why for finding in looked.findings for name, why in finding.exclude.items()}
        if data.task == "classification":
            _refuse_to_empty(looked.pictures, excluded)
        if excluded:
            write_exclusions(data.root, excluded)
    return excluded


def _pictures_of(data: ImageFilesDataModule) -> tuple[list[Picture], list[Finding]]:
    pictures, findings = list[Picture](), list[Finding]()
    for split in get_args(Split):
        try:
            pictures += data.pictures_of(split)
        except TlearnError as error:
            findings.append(Finding("layout", "error", str(error)))
    return pictures, findings


def _write(out: Path, looked: _Looked, excluded: dict[str, str]) -> None:
    content: dict[str, Any] = {
        "root": str(looked.data.root.absolute()),
        "class_names": looked.data.class_names,
        "splits": looked.splits,
        "findings": [asdict(finding) for finding in looked.findings],
        "excluded": excluded,
    }
    write_whole(out, json.dumps(content | label_list_facts(looked.data.listed), indent=1))


def _targets(data: ImageFilesDataModule, pictures: list[Picture]) -> list[Finding]:
    """Find labels, or values, that ``fit`` would refuse to learn or that say little."""
    if data.task == "multilabel":
        return [*diagnose_labels(pictures, data.class_names)]
    files = data.files_of("train") if data.task == "regression" else None
    if files is None:
        return []
    from tlearn.models.target_unit import unit_of

    try:
        unit_of(files.targets.reshape(len(files.targets), -1), data.class_names)
    except TlearnError as error:
        return [Finding("values", "error", str(error))]
    return []


def _refuse_to_empty(pictures: list[Picture], excluded: dict[str, str]) -> None:
    trained = {picture.label for picture in pictures if picture.split == "train"}
    left = {picture.label for picture in pictures if picture.split == "train" and picture.name not in excluded}
    if trained - left:
        names = ", ".join(sorted(trained - left))
        raise TlearnError(
            f"--fix would leave no picture to train on of: {names}; nothing was written: add pictures, or mend labels"
        )


def _refuse_errors(data: ImageFilesDataModule, findings: list[Finding], fixed: bool) -> None:
    stops = [finding for finding in findings if finding.severity == "error"]
    stops = [finding for finding in stops if not (finding.exclude and (fixed or data.on_error == "skip"))]
    if stops:
        way = "; mend it, or doctor --fix" if any(finding.exclude for finding in stops) else "; mend it"
        if all(finding.kind == "unread_so" for finding in stops):
            way = ""  # the finding says what to do
        raise TlearnError(f"fit, or test, would stop: {'; '.join(finding.what for finding in stops)}{way}")
