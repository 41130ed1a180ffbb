#!/usr/bin/env bash
# timm 1.0.31: one architecture's tags disagree on mean and std, and a bare name takes the first tag's whatever file is loaded.
#
# Behaviour: create_model("efficientnet_b0", checkpoint_path=FILE) has the pretrained_cfg of the architecture's default tag,
# also where FILE holds the weights of another tag. resolve_model_data_config then normalises by the default's mean and
# std. The file carries no tag that could be compared.
# Wanted: whoever loads a file should name the tag, or compare the tags' configurations first.
# Seen: of 313 architectures with several pretrained tags 34 have tags that disagree; efficientnet_b0 has
# mean 0.485, 0.456, 0.406 (ra_in1k, the default) and 0.5 (ra4_e3600_r224_in1k).
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check timm==1.0.31 torch==2.14.1 torchvision==0.29.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
from collections import defaultdict

import timm
import torch
from timm.data import resolve_model_data_config
from timm.models import get_pretrained_cfg, list_pretrained

tags: dict[str, set[tuple[tuple[float, ...], tuple[float, ...]]]] = defaultdict(set)
count: dict[str, int] = defaultdict(int)
for name in list_pretrained():
    config = get_pretrained_cfg(name)
    architecture = name.split(".")[0]
    tags[architecture].add((config.mean, config.std))
    count[architecture] += 1
several = [name for name in count if count[name] > 1]
disagree = [name for name in several if len(tags[name]) > 1]
print(f"timm {timm.__version__}: {len(several)} architectures with several tags, {len(disagree)} disagree on mean or std")
assert (len(several), len(disagree)) == (313, 34)

named = timm.create_model("efficientnet_b0.ra4_e3600_r224_in1k")
torch.save(named.state_dict(), "other_tag.pth")
bare = timm.create_model("efficientnet_b0", checkpoint_path="other_tag.pth")
for model in (named, bare):
    print(model.pretrained_cfg["tag"], resolve_model_data_config(model)["mean"])
assert resolve_model_data_config(named)["mean"] == (0.5, 0.5, 0.5)
assert resolve_model_data_config(bare)["mean"] == (0.485, 0.456, 0.406)
PY
