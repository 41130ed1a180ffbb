# Everything a newcomer or a developer types. `make` alone lists it.
PYTHON ?= python3
PORT ?= 6006
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run train dashboard test test-all lint format bench bench-gpu clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## create .venv and install tlearn with its development tools (repeated only when pyproject.toml changes)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "tlearn needs Python 3.11 or newer, '$(PYTHON)' is older: make PYTHON=/path/to/python3.11 install" >&2; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --disable-pip-version-check --editable '.[dev]'
	touch $@

run: install  ## a first result without network: learn the digits 0-4, transfer to 5-9
	$(PY) -m tlearn quickstart

train: install  ## fine-tune a pretrained ResNet18 on CIFAR-10
	$(PY) -m tlearn fit --config finetune.yaml

dashboard: install  ## TensorBoard over runs/, at http://127.0.0.1:6006 (make PORT=6007 dashboard)
	$(VENV)/bin/tensorboard --logdir runs --host 127.0.0.1 --port $(PORT)

test: install  ## the quick tests
	$(PY) -m pytest -m "not slow and not realdata"

test-all: install  ## every test; those marked realdata need the real data sets
	$(PY) -m pytest

lint: install  ## ruff and mypy, nothing is changed
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: install  ## let ruff mend and format the code
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: install  ## measure every figure of the README (about 40 minutes on 2 cores; make bench ROOT=data for real images)
	$(PY) -m benchmarks.table $(if $(ROOT),--root $(ROOT))

bench-gpu: install  ## the figures that a GPU decides; needs one
	$(PY) -m benchmarks.table --gpu $(if $(ROOT),--root $(ROOT))

clean:  ## remove build leftovers and caches; runs/, data/ and .venv stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache *.egg-info
	find . -path ./$(VENV) -prune -o -path ./runs -prune -o -path ./data -prune -o -path ./.git -prune -o \
		\( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -exec rm -rf {} +
