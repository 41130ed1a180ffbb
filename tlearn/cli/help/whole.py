"""All options of a verb that runs Lightning's trainer, as its parser has them, with no defaults but ours."""

from __future__ import annotations

import re
from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from tlearn.base.program import program
from tlearn.cli.arguments import Arguments
from tlearn.cli.help.pages import page
from tlearn.cli.transfer_cli import TransferCLI

# Lightning's words on its own defaults, which are not ours.
_THEIR_DEFAULTS = re.compile(
    r"\s*Default: (``[^`]*``|\d+)\.?|\s*Defaults to ``\w+``\.|\s*Disabled by default \([^)]*\)\."
    r"|\s*If [^.]* default(s|) to\s+``max_epochs = 1000``\."
)
_LINKS = "Linked arguments"  # no options: the model gets them from the data
# What null means to us, which the parser does not know.
_OURS = {
    "trainer.precision": "null is the fastest of the device.",
    "trainer.logger": "null is TensorBoard's, in the run folder.",
    "trainer.default_root_dir": "null is runs/.",
    "trainer.enable_progress_bar": "null is true in a terminal.",
}


class _Made(Exception):  # noqa: N818  # it is no fault: the parser has been made, and nothing is to be parsed
    def __init__(self, parser: LightningArgumentParser) -> None:
        super().__init__()
        self.parser = parser


class _ParserCLI(TransferCLI):
    """The command line up to its parser."""

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> NoReturn:
        """Hand the parser over."""
        raise _Made(self.verb_parser)


def whole_help(verb: str) -> str:
    """Return the help of all options of ``fit``, ``validate``, ``test`` or ``predict``."""
    parser = parser_of(verb)
    parser.prog, parser.usage = f"{program()} {verb}", page(verb).splitlines()[0].removeprefix("usage: ")
    parser.description = page(verb).split("\n\n")[1]
    parser._action_groups = [group for group in parser._action_groups if group.title != _LINKS]
    for action in parser._actions:
        if isinstance(action.help, str):
            ours = _OURS.get(action.dest, "")
            action.help = " ".join(filter(None, [_THEIR_DEFAULTS.sub("", action.help), ours]))
    return str(parser.format_help())


def parser_of(verb: str) -> LightningArgumentParser:
    """Return the parser of ``fit``, ``validate``, ``test`` or ``predict``."""
    try:
        _ParserCLI(Arguments(verb), None)
    except _Made as made:
        return made.parser
    raise AssertionError("LightningCLI made a parser and did not parse")
