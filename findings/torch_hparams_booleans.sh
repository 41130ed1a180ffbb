#!/usr/bin/env bash
# torch 2.14.1: add_hparams writes booleans as the numbers 1 and 0, though it has a branch that would write booleans.
#
# Behaviour: torch.utils.tensorboard.summary.hparams asks isinstance(value, (int, float)) first; a Python bool is an int, so the
# branch for bool, which writes bool_value and DATA_TYPE_BOOL, is never reached. TensorBoard's table shows 1.0000 for True.
# Wanted: bool_value true, DATA_TYPE_BOOL.
# Seen: flag -> number_value 1, DATA_TYPE_FLOAT64.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 tensorboard==2.21.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
import torch
from tensorboard.plugins.hparams.api_pb2 import DATA_TYPE_FLOAT64
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch.utils.tensorboard.summary import hparams

experiment, start, _ = hparams({"flag": True}, {"accuracy": 0.5})
value = HParamsPluginData.FromString(start.value[0].metadata.plugin_data.content).session_start_info.hparams["flag"]
(info,) = HParamsPluginData.FromString(experiment.value[0].metadata.plugin_data.content).experiment.hparam_infos
print(f"torch {torch.__version__}: True became {value.WhichOneof('kind')} {value.number_value}, type {info.type}")
assert value.WhichOneof("kind") == "number_value" and value.number_value == 1
assert info.type == DATA_TYPE_FLOAT64
PY
