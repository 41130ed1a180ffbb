#!/usr/bin/env bash
# datasets 5.2.0: with class/site/picture.png the label is the site, and with unequal depth there is no label at all.
#
# Behaviour: imagefolder takes the innermost folder's name as the label, not the first level's, as torchvision's ImageFolder
# and Keras do. Where pictures lie at two depths, the column "label" is missing. Nothing is said in either case.
# Wanted: the class folder, or a line that says which level was taken.
# Seen: cat|dog / site1|site2 / *.png -> ['site1', 'site2']; cat/1.png and dog/brown/1.png -> columns ['image'].
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check datasets==5.2.0 pillow==13.0.0
cd "$work"
HF_HUB_OFFLINE=1 HF_HOME="$work/home" "$work/venv/bin/python" - <<'PY'
from pathlib import Path

import datasets
from PIL import Image

datasets.disable_progress_bars()


def opened(name: str, paths: list[str]) -> datasets.Dataset:
    for path in paths:
        Path(name, path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(Path(name, path))
    rows = datasets.load_dataset("imagefolder", data_dir=str(Path(name).absolute()))["train"]
    print(f"datasets {datasets.__version__}: {name}: {rows.features}")
    return rows


nested = opened("nested", [f"{c}/site{s}/{n}.png" for c in ("cat", "dog") for s in (1, 2) for n in range(3)])
assert nested.features["label"].names == ["site1", "site2"]
uneven = opened("uneven", ["cat/1.png", "dog/brown/1.png"])
assert uneven.column_names == ["image"]
PY
