"""Print help: the front page, a verb's screen, or all of it. Only ``--help all`` and ``--help data`` load torch."""

from __future__ import annotations

import os
import sys
import textwrap
from importlib import import_module

from tlearn.base.errors import unknown
from tlearn.base.program import program
from tlearn.cli.arguments import HELP_TOPICS, Arguments
from tlearn.cli.config_files import shipped_configs
from tlearn.cli.help.pages import page
from tlearn.cli.targets.settle import DATA_VERBS
from tlearn.version import __version__

VERBS = {
    "doctor": "look at every picture file: unreadable, doubled, mislabelled",
    "label": "the pictures to label next, on a page that takes the answers",
    "review": "a page of the labels, the most doubtful first, to mend them",
    "advise": "which strategy, image size and rates pay for them, and why",
    "fit": "train a network on pictures",
    "test": "loss and accuracy of a run on test images",
    "validate": "the same on its validation images",
    "predict": "the classes of photos, as a table",
    "report": "report.html and card.md of a run, made anew",
    "export": "the network of a run as .onnx, .pt2 or .safetensors, checked",
    "serve": "drop pictures on a page, or send them over HTTP, for answers",
    "plan": "what fit would do: rates, what trains when, seconds, memory",
    "probe": "what each stage of a network is worth for these pictures",
    "compare": "fit configs on the same images, and rank them with intervals",
    "soup": "average runs of one network, and keep the best or simplest",
    "optimize": "pack a folder of pictures into shards, which fit streams",
    "cache": "list or remove features and pictures kept in this folder",
    "completion": "let the shell complete verbs, options and files",
    "quickstart": "offline, a few minutes: learn digits, transfer, compare",
}
_TRAINED = ("fit", "validate", "test", "predict")


def front_page() -> str:
    """Return what ``tlearn --help`` prints."""
    verbs = "\n".join(f"  {verb:<12}{what}" for verb, what in VERBS.items())
    configs = textwrap.fill(", ".join(shipped_configs()), 78, initial_indent="  ", subsequent_indent="  ")
    return f"""\
tlearn {__version__}: a network that has learned to see, made to work on your pictures.

usage: {program()} VERB TARGET [--option VALUE ...]

verbs:
{verbs}

TARGET of doctor, advise, fit, plan and probe is a folder of pictures, a table
(.csv, .parquet) or a config (.yaml); of test, validate, predict, report and
export it is a run, such as runs/my_pictures; of soup two or more runs; of
review it is any of them.

start:
  {program()} quickstart
  {program()} fit my_pictures
  {program()} predict runs/my_pictures photos/
  {program()} fit finetune.yaml

configs that ship with it (--config NAME beside a folder gives the strategy):
{configs}

'VERB --help' is one screen about it, 'VERB --help all' lists every option."""


def show_help(arguments: Arguments) -> None:
    """Print the help of a verb: one screen, ``all`` of it, or the options of the kinds of ``data``.

    Raises:
        TlearnError: Another word stands behind ``--help``.
    """
    verb, topic = f"{arguments.verb}", arguments.help_topic
    if topic and topic not in HELP_TOPICS:
        raise unknown("kind of help", topic, HELP_TOPICS)
    pages = []
    if topic == "data":
        pages.append(import_module("tlearn.cli.help.data_options").data_options())
    elif not topic or verb not in _TRAINED:
        pages.append(page(verb))
    if topic == "all" and verb in (*DATA_VERBS, *_TRAINED, "compare"):
        pages.append(import_module("tlearn.cli.help.whole").whole_help(verb if verb in _TRAINED else "fit"))
    show("\n\n".join(pages))


def show(text: str) -> None:
    """Print a text, all of which need not be read: ``| head`` takes the first lines and goes."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it ends
