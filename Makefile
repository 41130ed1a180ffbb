# Everything a newcomer or a developer types. `make` alone lists it.
PYTHON ?= python3
RUNS ?= runs
PROCESSES ?= 2
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
FLOORS := .venv-floors

.DEFAULT_GOAL := help
.PHONY: help install run train dashboard test test-browser test-faults test-floors test-all figures screenshots notebooks lint format bench bench-gpu clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## create .venv and install tlearn with its development tools (repeated only when pyproject.toml changes)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "tlearn needs Python 3.11 or newer, '$(PYTHON)' is older: make PYTHON=/path/to/python3.11 install" >&2; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --disable-pip-version-check --editable '.[dev]'
	@touch $@; echo "installed; to type 'tlearn': source $(VENV)/bin/activate"

run: install  ## a first result without network: learn the digits 0-4, transfer to 5-9
	$(PY) -m tlearn quickstart

train: install  ## fine-tune a pretrained ResNet18 on CIFAR-10
	$(PY) -m tlearn fit --config finetune.yaml

# TensorBoard's own answer to a taken port holds only where none was asked for. What is left out of its output says nothing of
# the runs: that TensorFlow is missing, and how it reads. `trap`: the filter outlives Ctrl-C, or the last words would have no reader.
dashboard: SHELL := bash
dashboard: install  ## TensorBoard over runs/, at http://127.0.0.1:6006 or the next free port (make PORT=7000 dashboard: there)
	@test -d "$(RUNS)" || echo "no $(RUNS)/ here yet; runs appear as soon as there are some"
	@exec $(PY) -m tlearn.reporting.tensorboard --logdir "$(RUNS)" --host 127.0.0.1 $(if $(PORT),--port $(PORT)) \
		--samples_per_plugin images=100 2> >(trap '' INT; exec grep --line-buffered -v -e '^$$' -e '^TensorFlow inst' \
		-e load_fast -e 'NOTE: Using exp' -e tensorflow/tensorboard/issues/4784 -e '] TensorBoard could not bind' >&2)

test: install  ## the quick tests, in two processes (make PROCESSES=0 test: in one)
	$(PY) -m pytest -n $(PROCESSES) --dist loadgroup -m "not slow and not realdata and not browser"

test-browser: install  ## TensorBoard and the report in a real browser (Chromium, as the system has it)
	$(PY) -m pytest -m browser

test-faults: install  ## what is done to tlearn, and what holds: a table (INTO=docs/reliability.md: written there)
	@rm -f .pytest_cache/faults.xml
	$(PY) -m pytest -n $(PROCESSES) --dist loadgroup -m fault --junitxml=.pytest_cache/faults.xml || true
	@$(PY) -m tests.helpers.fault_table .pytest_cache/faults.xml $(INTO)

# Warnings are shown, not errors: old releases beside the newest of what they need are deprecated here and there.
test-floors: $(FLOORS)/.installed  ## the quick tests on the lowest releases that pyproject.toml allows (needs the network, 8 GB)
	$(FLOORS)/bin/python -m pytest -n $(PROCESSES) --dist loadgroup -W default \
		-m "not slow and not realdata and not browser" --ignore tests/project

$(FLOORS)/.installed: pyproject.toml | $(STAMP)
	test -x $(FLOORS)/bin/python || $(PYTHON) -m venv $(FLOORS)
	$(FLOORS)/bin/python -m pip install --disable-pip-version-check uv
	$(PY) -m tests.project.floors >$(FLOORS)/floors.txt
	$(FLOORS)/bin/uv pip install --python $(FLOORS) --resolution lowest-direct --constraints $(FLOORS)/floors.txt --editable '.[dev]'
	@touch $@

test-all: install  ## every test; those marked realdata need the real data sets
	$(PY) -m pytest

figures: install  ## how large the package and its parts are, and who imports whom; the tests hold the limits
	@$(PY) -m tests.project.figures

screenshots: install  ## make docs/images anew, from the quick start's runs
	$(PY) -m tests.browser.screenshots docs/images

notebooks: install  ## run the notebooks and store their outputs, after a change of what they show
	$(PY) -m tests.project.notebooks

lint: install  ## ruff, mypy and the rooms of the package (import-linter); nothing is changed
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-logo --no-cache

format: install  ## let ruff mend and format the code
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: install  ## measure the figures of docs/speed.md and docs/strategies.md (about 75 minutes on 2 cores; make bench ROOT=data for real images)
	$(PY) -m benchmarks.table $(if $(ROOT),--root $(ROOT))

bench-gpu: install  ## the figures that a GPU decides; needs one
	$(PY) -m benchmarks.table --gpu $(if $(ROOT),--root $(ROOT))

clean:  ## remove build leftovers and caches; runs/, data/ and .venv stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache *.egg-info
	find . -path ./$(VENV) -prune -o -path ./runs -prune -o -path ./data -prune -o -path ./.git -prune -o \
		\( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -exec rm -rf {} +
