"""The options of each kind of data, as ``VERB --help data`` prints them: read off the data modules themselves."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator

from docstring_parser import parse

from tlearn.cli.defaults import DATA_MODULES
from tlearn.data.datamodule import ImageDataModule
from tlearn.data.images.augment import Augment

_WIDTH = 79
# The command line fills them in from the checkpoint; nobody types them.
_NOT_TYPED = ("stored_classes", "stored_reading", "stored_task", "class_names")
_OF_BASES = ("root",)  # each data module says what its own is
_HEAD = """\
The options of each kind of data, with defaults in brackets. The kind is named by --data NAME, an option is typed as
--data.OPTION VALUE. A folder or a table behind the verb has its kind: ImageFolderDataModule, ImageTableDataModule."""


def data_options() -> str:
    """Return a paragraph for each data module, and one for the options that several share."""
    modules = [kind for file in DATA_MODULES for kind in vars(file).values() if _is_of(kind, file.__name__)]
    shared = [base for kind in modules for base in kind.__mro__ if issubclass(base, ImageDataModule)]
    bases = [base for base in dict.fromkeys(shared) if base not in modules and "__init__" in vars(base)]
    paragraphs = [textwrap.fill(_HEAD, _WIDTH), *("\n".join(_about(kind)) for kind in (*modules, *bases, Augment))]
    return "\n\n".join(paragraphs).replace("``", "")


def _is_of(kind: object, file: str) -> bool:
    return inspect.isclass(kind) and issubclass(kind, ImageDataModule) and kind.__module__ == file


def _about(kind: type) -> Iterator[str]:
    """Yield the lines about a data module, or about what several have in common."""
    is_base = inspect.isabstract(kind)
    further = [base.__name__ for base in kind.__mro__[1:] if _has_options(base)]
    name = "augment" if kind is Augment else f"{kind.__name__}, which others are" if is_base else kind.__name__
    yield from textwrap.wrap(f"{name}: {inspect.cleandoc(kind.__doc__ or '').splitlines()[0]}", _WIDTH)
    documents = (kind.__doc__, vars(kind)["__init__"].__doc__)
    said = {each.arg_name.lstrip("*"): each.description for text in documents for each in parse(text or "").params}
    for option in inspect.signature(kind).parameters.values():
        words = said.get(option.name)
        if words and option.kind is not option.VAR_KEYWORD and option.name not in (*_NOT_TYPED, *_OF_BASES * is_base):
            yield from _line(option, " ".join(words.split()))
    if further and not is_base:
        yield f"  and those of {', '.join(further)}"


def _has_options(base: type) -> bool:
    return issubclass(base, ImageDataModule) and "__init__" in vars(base) and inspect.isabstract(base)


def _line(option: inspect.Parameter, words: str) -> list[str]:
    given = option.default
    shown = str(given).lower() if isinstance(given, bool) else str(given)
    default = f" [{shown}]" if isinstance(given, (bool, int, float, str)) else ""
    return textwrap.wrap(f"{option.name}: {words}{default}", _WIDTH, initial_indent="  ", subsequent_indent="      ")
