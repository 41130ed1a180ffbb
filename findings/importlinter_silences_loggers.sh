#!/usr/bin/env bash
# import-linter 2.17: calling lint_imports() from Python disables every logger that the process already has.
#
# Behaviour: importlinter.cli.lint_imports configures logging by a dictionary that keeps no existing logger. A test that calls it
# passes, and all later tests of the process that look at log lines of their own loggers fail, in an order that depends on
# the runner. Nothing is said.
# Wanted: its own loggers configured, those of others left alone.
# Seen: logger "mine" disabled False before, True after; a line that was logged before is dropped after.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check import-linter==2.17
mkdir -p "$work/shop/stock" "$work/shop/till"
touch "$work/shop/__init__.py" "$work/shop/stock/__init__.py" "$work/shop/till/__init__.py"
cat >"$work/.importlinter" <<'INI'
[importlinter]
root_package = shop

[importlinter:contract:1]
name = the till sells what is in stock
type = layers
layers =
    shop.till
    shop.stock
INI
cd "$work"
PYTHONPATH="$work" "$work/venv/bin/python" - <<'PY'
import logging
from importlib.metadata import version

from importlinter.cli import lint_imports

heard: list[str] = []


class Ear(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        heard.append(record.getMessage())


mine = logging.getLogger("mine")
mine.addHandler(Ear())
mine.setLevel(logging.INFO)
mine.info("before")
was = mine.disabled
code = lint_imports(no_cache=True, no_logo=True)
mine.info("after")
print(f"import-linter {version('import-linter')}: code {code}, disabled {was} -> {mine.disabled}, heard {heard}")
assert (code, was, mine.disabled, heard) == (0, False, True, ["before"])
PY
