#!/usr/bin/env bash
# torch 2.14.1: making an optimizer, where nothing is compiled, imports torch's compiler: hundreds of modules, half a second and more.
#
# Behaviour: Optimizer.add_param_group is marked as "not to be compiled" (torch/optim/optimizer.py, _disable_dynamo of
# torch/_compile.py), and the mark is resolved at the first call by importing torch._dynamo, which brings sympy and torch.fx along.
# `import torch` itself takes care not to. torch.nn.functional and backward() leave it out; SGD of one parameter does not.
# Wanted: the mark is resolved where something is compiled, or by a part that does not need the compiler.
# Seen: after import torch and a backward pass: torch._dynamo absent; after torch.optim.SGD([weight]): there, sympy too, 892 modules more.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys
import time

import torch

weight = torch.nn.Parameter(torch.ones(3))
torch.nn.functional.cross_entropy(weight[None], torch.tensor([0])).backward()
before, compiler = set(sys.modules), ("torch._dynamo", "sympy")
print(f"torch {torch.__version__}, after a backward pass: {[name for name in compiler if name in before]}")
assert not any(name in before for name in compiler)

start_s = time.perf_counter()
torch.optim.SGD([weight], lr=0.1)
time_s = time.perf_counter() - start_s
new = set(sys.modules) - before
print(f"after SGD of one parameter: {[name for name in compiler if name in new]}, {len(new)} modules more, {time_s:.2f} s")
assert all(name in new for name in compiler)
assert len(new) > 300
PY
