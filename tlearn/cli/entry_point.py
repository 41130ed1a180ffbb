"""The front door: help, version and wrong words answer at once; torch and Lightning load only behind it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module

from tlearn.base.errors import TlearnError, unknown
from tlearn.base.imports.stand_ins import quick_imports
from tlearn.base.process.haste import keep_for_good, reuse_memory
from tlearn.base.progress import Progress
from tlearn.base.terminal.wrapping import wrapped
from tlearn.cli.arguments import Arguments, VerbParser, split_arguments
from tlearn.cli.help.show import VERBS, front_page, show, show_help
from tlearn.cli.isolation import isolated, known_fault, undo_later
from tlearn.cli.targets.settle import with_target
from tlearn.version import __version__

# The file of each verb, and of what has one of its own behind it; its function `run` takes the command line. Files are
# named as text because a verb is imported only when it is typed.
_OWN_FILE = {
    "fit": "tlearn.commands.fit",
    "validate": "tlearn.commands.evaluate",
    "test": "tlearn.commands.evaluate",
    "predict": "tlearn.commands.predict",
    "plan": "tlearn.commands.plan",
    "probe": "tlearn.commands.probe",
    "advise": "tlearn.commands.advise.advise",
    "compare": "tlearn.commands.compare.compare",
    "sweep": "tlearn.commands.compare.sweep",
    "folds": "tlearn.commands.compare.folds",
    "race": "tlearn.commands.race.race",
    "doctor": "tlearn.commands.doctor",
    "drift": "tlearn.commands.drift.drift",
    "label": "tlearn.commands.pages.label",
    "review": "tlearn.commands.pages.review",
    "soup": "tlearn.commands.soup.soup",
    "optimize": "tlearn.commands.optimize",
    "report": "tlearn.commands.report",
    "export": "tlearn.commands.export",
    "serve": "tlearn.commands.pages.serve",
    "cache": "tlearn.commands.cache",
    "completion": "tlearn.cli.help.completion",
}
_OF_SWEEPS = ("--seeds", "--trials", "--storage", "--no-wait", "--out")
_SWEEPS = "fit TARGET --sweep OPTION=A,B --seeds N; to fit once with another seed: --seed_everything N"
_QUICKSTART = "tlearn.commands.quickstart"


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 2 a fault the user can mend, 1 any other.

    ``doctor NEW --against RUN`` has 3 where the pictures are not alike.
    One that a signal ended, as Ctrl-C does, has 128 and the signal's number, as in a shell: 130, 143.

    Args:
        args: The words after ``tlearn``; those of this process by default.
    """
    if args is not None:
        with isolated():
            return _main(args, owns_process=False)
    reuse_memory()
    with isolated():
        code = _main(sys.argv[1:], owns_process=True)
    keep_for_good()  # the process ends now
    return code


def _main(words: Sequence[str], owns_process: bool) -> int:
    _print_whatever_comes()
    try:
        _dispatch(split_arguments(words), owns_process)
    except Exception as error:
        if os.environ.get("TLEARN_DEBUG") == "1":
            raise
        known = known_fault(error)
        said = known or f"{type(error).__name__}: {error}; TLEARN_DEBUG=1 shows where it came from"
        print(wrapped(f"error: {said}", sys.stderr), file=sys.stderr)
        return 2 if known else 1
    except SystemExit as end:  # jsonargparse ends --help and --print_config so, Lightning an interrupted run
        if isinstance(end.__context__, KeyboardInterrupt):
            return _interrupted(end.__context__)
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt as interrupt:
        return _interrupted(interrupt)
    return 0


def _print_whatever_comes() -> None:
    """Let a console, pipe or file that cannot encode a name show it with escapes: no output may end the work.

    Windows gives a pipe the code page of the country, which has no characters but its own.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            undo_later(partial(stream.reconfigure, errors=stream.errors))
            stream.reconfigure(errors="backslashreplace")


def _interrupted(interrupt: KeyboardInterrupt) -> int:
    """Say so, and behind it what the verb has noted: how to go on."""
    print("interrupted", file=sys.stderr, flush=True)
    for note in getattr(interrupt, "__notes__", ()):
        print(note, flush=True)
    return 130


def _dispatch(arguments: Arguments, owns_process: bool) -> None:
    if arguments.verb is None:
        _front_page(arguments.options)
        return
    if arguments.verb not in VERBS:
        raise unknown("verb", arguments.verb, VERBS)
    if arguments.help_topic is not None:
        show_help(arguments)
        return
    name = _function_of(arguments)
    if name != "drift":  # its pictures have no labels
        arguments = with_target(arguments)
    if arguments.target and arguments.target.said:
        print(wrapped(arguments.target.said, sys.stderr), file=sys.stderr)
    for config in arguments.configs:
        config.refuse_verbs(VERBS)  # faults are said before torch is imported
    if name == "quickstart":
        _quickstart(arguments)
        return
    _run(name, arguments, owns_process)


def _run(name: str, arguments: Arguments, owns_process: bool) -> None:
    with Progress(f"{arguments.verb}: loading PyTorch"), quick_imports():
        module = import_module(_OWN_FILE[name])
    if owns_process:
        keep_for_good()
    module.run(arguments)


def _function_of(arguments: Arguments) -> str:
    verb, typed = arguments.verb or "fit", [option for option, _ in arguments.pairs()]
    if "--folds" in typed and "--sweep" in typed:
        raise TlearnError("--sweep compares values on one split, --folds fits every fold; drop one of the two")
    if verb == "fit" and "--budget" in typed:
        return "race"
    if verb == "fit" and "--folds" in typed:
        return "folds"
    if verb == "doctor" and "--against" in typed:
        return "drift"
    if "--sweep" not in typed:
        if verb == "fit" and (option := next((name for name in _OF_SWEEPS if name in typed), None)):
            raise TlearnError(f"{option} belongs to --sweep, which compares values of an option: {_SWEEPS}")
        return verb
    if verb != "fit":
        raise TlearnError(f"--sweep is an option of fit, which {verb} does not know; drop it, or type fit")
    return "sweep"


def _quickstart(arguments: Arguments) -> None:
    place = "--trainer.default_root_dir"
    parser = VerbParser()
    parser.option(place, "a folder", dest="folder")
    own, rest = parser.take(arguments)
    if rest.configs or rest.options:
        raise TlearnError(f"quickstart takes no config and no option but {place}; to change anything use fit")
    import_module(_QUICKSTART).quickstart(own.folder)


def _front_page(options: Sequence[str]) -> None:
    if options and options[0] == "--version":
        print(f"tlearn {__version__}")
    elif not options or options[0] in ("-h", "--help"):
        show(front_page())
    else:
        raise TlearnError(f"expected a verb first ({', '.join(VERBS)}), got '{options[0]}'")
