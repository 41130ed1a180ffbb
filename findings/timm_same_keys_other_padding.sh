#!/usr/bin/env bash
# timm 1.0.31: tf_efficientnet_b0's weights load into efficientnet_b0 with strict=True, and give other answers.
#
# Behaviour: the tf_ variants pad as TensorFlow does (unevenly at stride 2). Padding has no weights, so both architectures have
# the same 360 names and shapes, and load_state_dict(strict=True) has nothing to refuse. The answers differ.
# efficientnet_b0 with pad_type="same" and bn_eps=1e-3 computes what tf_efficientnet_b0 does.
# Wanted: a reader who loads a file by its names and shapes alone must not take these for the same network.
# Seen: all keys matched; largest difference of the features relative to their deviation 2.5 (plain), 0.0 (with both arguments).
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check timm==1.0.31 torch==2.14.1 torchvision==0.29.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import timm
import torch

torch.manual_seed(0)
pictures = torch.randn(8, 3, 224, 224)
theirs = timm.create_model("tf_efficientnet_b0")
theirs.train()
with torch.no_grad():
    for _ in range(20):
        theirs(pictures)  # BatchNorm learns statistics, so that signals have the size that trained weights give them
    theirs.eval()
    truth = theirs.forward_features(pictures)
    for arguments in ({}, {"pad_type": "same", "bn_eps": 1e-3}):
        other = timm.create_model("efficientnet_b0", **arguments).eval()
        said = other.load_state_dict(theirs.state_dict(), strict=True)
        apart = ((other.forward_features(pictures) - truth).abs().max() / truth.std()).item()
        print(f"timm {timm.__version__}, {arguments}: {said}, {len(theirs.state_dict())} entries, apart by {apart:.3f}")
        assert not said.missing_keys
        assert (apart > 0.5) is (not arguments), apart
PY
