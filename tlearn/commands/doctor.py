"""The verb `doctor`: look at every picture file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tlearn.base.errors import TlearnError
from tlearn.base.files import check_folder_of, write_whole
from tlearn.cli.arguments import Arguments
from tlearn.cli.defaults import make_data, settle_pictures
from tlearn.cli.transfer_cli import TransferCLI, plain_config, run_as
from tlearn.data.datamodule import ImageDataModule, Split
from tlearn.data.doctor.diagnosis import diagnose, summary_of
from tlearn.data.doctor.lists import diagnose_labels, names_and_places, rare_classes, skipped_files
from tlearn.data.files.exclusions import EXCLUSIONS, read_exclusions, write_exclusions
from tlearn.data.files.findings import Finding, Picture
from tlearn.data.files.listing import number_of
from tlearn.data.sources.labelled_files import ImageFilesDataModule

_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_SHOWN = 3


def print_findings(summary: Mapping[str, Mapping[str, Any]], findings: Sequence[Finding]) -> None:
    """Print a line for each split and one table of what was found."""
    console = Console(highlight=False)
    for split, about in summary.items():
        console.print(Text(_split_line(split, about)), soft_wrap=True)
    if not findings:
        console.print("nothing found")
        return
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    table.add_column("")
    for column in ("found", "files", "--fix"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        excludes = f"leaves out {len(finding.exclude)}" if finding.exclude else "-"
        label = Text(finding.severity, style=_COLOURS[finding.severity])
        table.add_row(label, Text(finding.what), Text(_files(finding.files)), excludes)
    console.print(table)


def _split_line(split: str, about: Mapping[str, Any]) -> str:
    counts, sides = about["classes"].values(), about["short_side_px"]
    line = f"{split}: {number_of(about['images'], 'picture')}"
    if counts:  # values are no labels
        line += f", {number_of(len(counts), 'label')} ({min(counts)} to {max(counts)} each)"
    if sides:
        line += f", short side {sides['min']} to {sides['max']} px, median {sides['median']:g}"
    for kind in ("formats", "modes"):
        line += "; " + ", ".join(f"{name} {count}" for name, count in about[kind].items())
    return line


def _files(groups: Sequence[Sequence[str]]) -> str:
    shown = "\n".join(" = ".join(group[:4]) + (" ..." if len(group) > 4 else "") for group in groups[:_SHOWN])
    return shown + (f"\nand {len(groups) - _SHOWN} more" if len(groups) > _SHOWN else "")


_FIX, _OUT = "--fix", "--out"
_USAGE = """usage: python -m tlearn doctor --config CONFIG [--data.init_args.root FOLDER] [--fix] [--out doctor.json]

looks at every picture file of all splits; CONFIG and options are those of fit

  --fix       put broken files, copies and contrary labels on the list tlearn-exclude.json beside the pictures: fit
              leaves them out, and no file is deleted
  --out FILE  where to write all that was found; doctor.json by default"""


class DataCLI(TransferCLI):
    """The command line of ``fit``, of which only the data are made."""

    data: ImageDataModule

    def before_instantiate_classes(self) -> None:
        """Settle what the data need to know."""
        config = self.config[self.verb]
        self.plain = plain_config(self._parser(self.verb), config)
        settle_pictures(config, self.checkpoint)

    def instantiate_classes(self) -> None:
        """Make the data alone: no network, no weights, no trainer."""
        self.data = make_data(self.config[self.verb].data)

    def _run_subcommand(self, subcommand: str) -> None:
        """Do nothing."""


def doctor(arguments: Arguments) -> list[Finding]:
    """Look at all pictures of all splits, print and write what was found, and leave out what ``--fix`` may.

    Raises:
        TlearnError: The data are no picture files, ``fit`` would stop at what was found, or nothing can be written.
    """
    if any(word in ("-h", "--help") for word in arguments.options):
        print(_USAGE)
        return []
    fix, arguments = arguments.take_flag(_FIX)
    given, arguments = arguments.take(_OUT, "the name of a file to write")
    out = Path(given or "doctor.json")
    check_folder_of(out)
    cli = run_as(DataCLI, replace(arguments, verb="fit"))
    if not isinstance(cli.data, ImageFilesDataModule):
        raise TlearnError(f"doctor looks at picture files; {type(cli.data).__name__} has none of its own")
    pictures, findings = _look(cli.data)
    pictures, first = names_and_places(cli.data, pictures)
    findings += [*first, *skipped_files(cli.data)]
    names = cli.data.class_names if cli.data.task == "classification" else []
    is_pretrained = cli.plain["model"]["weights"] is not None
    findings += diagnose(pictures, names, cli.data.framing.size_px, is_pretrained, cli.data.task)
    findings += _targets(cli.data, pictures)
    left_out = {name for finding in findings for name in finding.exclude} if fix else set()
    findings += rare_classes(cli.data, pictures, left_out)
    summary = summary_of(pictures)
    print_findings(summary, findings)
    excluded = read_exclusions(cli.data.root)
    if fix:
        excluded |= {name: why for finding in findings for name, why in finding.exclude.items()}
        if cli.data.task == "classification":
            _refuse_to_empty(pictures, excluded)
        if excluded:
            print(f"{len(excluded)} pictures are left out from now on: {write_exclusions(cli.data.root, excluded)}")
        else:
            print("nothing to leave out")
    elif any(finding.exclude for finding in findings):
        print(f"--fix puts them on the list {cli.data.root / EXCLUSIONS}; no file is deleted")
    _write(out, cli.data, summary, findings, excluded)
    _refuse_errors(cli.data, findings, fix)
    return findings


def _look(data: ImageFilesDataModule) -> tuple[list[Picture], list[Finding]]:
    pictures, findings = list[Picture](), list[Finding]()
    for split in get_args(Split):
        try:
            pictures += data.pictures_of(split)
        except TlearnError as error:
            findings.append(Finding("layout", "error", str(error)))
    return pictures, findings


def _write(
    out: Path, data: ImageFilesDataModule, summary: Mapping[str, Any], findings: list[Finding], excluded: dict[str, str]
) -> None:
    content: dict[str, Any] = {
        "root": str(data.root.absolute()),
        "class_names": data.class_names,
        "splits": summary,
        "findings": [asdict(finding) for finding in findings],
        "excluded": excluded,
    }
    write_whole(out, json.dumps(content, indent=1))
    print(f"all of it: {out}")


def _targets(data: ImageFilesDataModule, pictures: list[Picture]) -> list[Finding]:
    """Find labels, or values, that ``fit`` would refuse to learn or that say little."""
    if data.task == "multilabel":
        return [*diagnose_labels(pictures, data.class_names)]
    files = data.list_split("train") if data.task == "regression" else None
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
        way = "mend it, or doctor --fix" if any(finding.exclude for finding in stops) else "mend it"
        raise TlearnError(f"fit, or test, would stop: {'; '.join(finding.what for finding in stops)}; {way}")
