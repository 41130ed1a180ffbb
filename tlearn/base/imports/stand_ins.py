"""Import libraries without what they bring along for nothing, by the import system's own means.

`importlib.util.LazyLoader` does not serve: a module that it has put off stays in ``sys.modules``, where the next import
of it, in whoever's code, loads it after all, and two threads that use it first may both run it (until Python 3.12).
Here a stand-in is found while one library is imported, and is gone when that is done: what comes later gets the module
itself. No library is changed, and what a stand-in does not know, it takes from the module, which is imported then.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from threading import get_ident
from types import ModuleType
from typing import Any

from tlearn.base.imports.spared import SPARED, Kind, Spared
from tlearn.base.process.haste import without_collection


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import what is named in `SPARED` without what it says, and let the garbage collector wait meanwhile.

    A library that is imported already stays as it is; so does a module that a stand-in would stand for.
    """
    finder = _Libraries()
    sys.meta_path.insert(0, finder)
    try:
        with without_collection():
            yield
    finally:
        sys.meta_path.remove(finder)


class _Libraries(MetaPathFinder):
    """Finds the libraries of `SPARED` where they are found anyway, and has them run among stand-ins, in one thread."""

    def __init__(self) -> None:
        self._thread = get_ident()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Answer for the libraries alone."""
        rows = [row for row in SPARED if row.library == fullname]
        if not rows or get_ident() != self._thread:
            return None
        # All that would be asked: a user's hooks are among them.
        others = [getattr(each, "find_spec", None) for each in sys.meta_path if not isinstance(each, _Libraries)]
        spec = next((found for find in others if find and (found := find(fullname, path, target))), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _AmongStandIns(spec.loader, rows)
        return spec


class _AmongStandIns(Loader):
    def __init__(self, loader: Loader, rows: Sequence[Spared]) -> None:
        self._loader, self._rows = loader, rows

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader  # of us no trace is left
        with _standing_in(self._rows):
            self._loader.exec_module(module)


@contextmanager
def _standing_in(rows: Sequence[Spared]) -> Iterator[None]:
    names = {name: taken for row in rows if not {*row.modules} & {*sys.modules} for name, taken in row.modules.items()}
    finder = _StandIns(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        finder.leave()


class _StandIns(MetaPathFinder, Loader):
    """Finds a stand-in for each module of a list until it leaves; other threads find the modules."""

    def __init__(self, names: Mapping[str, Mapping[str, Kind]]) -> None:
        self._names, self._thread = names, get_ident()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Answer for the list, but for what is not installed, and for what lies in a package of the list."""
        if fullname in self._names:
            is_there = "." in fullname or PathFinder.find_spec(fullname) is not None
            return ModuleSpec(fullname, self, is_package=True) if is_there and get_ident() == self._thread else None
        if not _loaded_by(self, sys.modules.get(fullname.rpartition(".")[0])):
            return None
        self.leave()
        return ModuleSpec(fullname, _Imported(import_module(fullname)))

    def exec_module(self, module: ModuleType) -> None:
        """Give it what is known to be taken from it, and for all else the module itself."""
        name = module.__name__
        module.__dict__.update({taken: _MAKE[kind](name, taken) for taken, kind in self._names[name].items()})

        def attribute(asked: str) -> Any:
            if asked.startswith("__"):  # the import system and inspect look for what a module may have
                raise AttributeError(f"module '{name}' has no attribute '{asked}'")
            self.leave()
            return getattr(import_module(name), asked)

        module.__dict__["__getattr__"] = attribute

    def leave(self) -> None:
        """Be found no more, and leave no stand-in where a module is looked for."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for name in self._names:
            if _loaded_by(self, found := sys.modules.get(name)):
                del sys.modules[name]
                package, _, last = name.rpartition(".")
                if vars(sys.modules.get(package, found)).get(last) is found:
                    delattr(sys.modules[package], last)


class _Imported(Loader):
    """Gives a module of a package for which a stand-in was found; it is imported with the package itself."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


def _loaded_by(finder: _StandIns, module: ModuleType | None) -> bool:
    return module is not None and module.__spec__ is not None and module.__spec__.loader is finder


def _function(module: str, name: str) -> Callable[..., Any]:
    """Return a function that imports its module when it is called, and calls the one that it stands for."""

    def function(*args: Any, **kwargs: Any) -> Any:
        return getattr(import_module(module), name)(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    function.__module__ = module
    return function


class _StandInClass(type):
    """A class whose module is not imported: before that nothing is an instance of it."""

    def __instancecheck__(cls, instance: object) -> bool:
        real = cls._real()
        return real is not None and isinstance(instance, real)

    def __subclasscheck__(cls, subclass: type) -> bool:
        real = cls._real()
        return subclass is cls or (real is not None and issubclass(subclass, real))

    def _real(cls) -> Any:
        found = getattr(sys.modules.get(cls.__module__), cls.__name__, None)
        return None if found is cls else found


def _class(module: str, name: str) -> type:
    return _StandInClass(name, (), {"__module__": module})


def _decorator(module: str, name: str) -> Callable[..., Any]:
    """Return a decorator that decorates only once somebody has imported its module."""

    def decorator(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        decorated: list[Callable[..., Any]] = []

        @wraps(function)
        def either(*given: Any, **named: Any) -> Any:
            if module not in sys.modules:
                return function(*given, **named)
            if not decorated:
                decorated.append(getattr(import_module(module), name)(function, *args, **kwargs))
            return decorated[0](*given, **named)

        return either

    return decorator


_MAKE: Mapping[Kind, Callable[[str, str], Any]] = {"function": _function, "class": _class, "decorator": _decorator}
