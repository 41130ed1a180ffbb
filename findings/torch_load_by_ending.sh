#!/usr/bin/env bash
# torch 2.14.1: torch.load believes the ending .safetensors, so a file that torch.save wrote by that name cannot be loaded.
#
# Behaviour: torch.save takes any name. torch.load hands a path that ends in .safetensors to the package safetensors before it looks
# at the bytes (torch/serialization.py, lines 1533-1563), and what comes is that package's error, which names neither torch.save nor
# the ending. The same bytes as an open file, or under another name, load. Without safetensors installed it is
# another error, which asks to install it.
# Wanted: a look at the first bytes before the ending, or an error that says what the file really is.
# Seen: as a path: SafetensorError: Error while deserializing header: header too large; as an open file: {'weight': tensor([1., 1.])}.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 safetensors==0.8.0
cd "$work"
"$work/venv/bin/python" - <<'PY'
import shutil
import sys

import safetensors
import torch

versions = f"torch {torch.__version__}, safetensors {safetensors.__version__}"
torch.save({"weight": torch.ones(2)}, "weights.safetensors")
shutil.copy("weights.safetensors", "weights.pt")
try:
    torch.load("weights.safetensors", weights_only=True)
except safetensors.SafetensorError as error:
    said = str(error)
print(f"{versions}: weights.safetensors as a path: SafetensorError: {said}")
assert "header too large" in said.lower(), said
sys.modules["safetensors.torch"] = None  # as if it were not installed
try:
    torch.load("weights.safetensors", weights_only=True)
except RuntimeError as error:
    said = str(error)
print(f"{versions}: the same without safetensors: RuntimeError: {said}")
assert "not installed" in said, said
with open("weights.safetensors", "rb") as opened:
    found = torch.load(opened, weights_only=True)
print(f"{versions}: weights.safetensors as an open file: {found}")
assert found["weight"].tolist() == [1.0, 1.0]
found = torch.load("weights.pt", weights_only=True)
print(f"{versions}: weights.pt as a path: {found}")
assert found["weight"].tolist() == [1.0, 1.0]
PY
