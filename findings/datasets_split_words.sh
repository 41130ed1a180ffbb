#!/usr/bin/env bash
# datasets 5.2.0: in a folder of class folders, two files whose names hold "train" and "test" leave only these two as rows.
#
# Behaviour: load_dataset("imagefolder", data_dir=...) looks for split words in the paths before it takes all files. One file
# that matches is enough: the files that match no word are in no split, and no line says that they are left out. A class
# whose *folder* is called "test" does the same to all other classes.
# Wanted: as many rows as picture files, or a line that counts what is left out.
# Seen: 8 files -> {'train': 1, 'test': 1}; a class folder named test, 9 files -> {'test': 3}.
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


def rows(name: str, paths: list[str]) -> dict[str, int]:
    for path in paths:
        Path(name, path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(Path(name, path))
    found = datasets.load_dataset("imagefolder", data_dir=str(Path(name).absolute()))
    counts = {split: len(part) for split, part in found.items()}
    print(f"datasets {datasets.__version__}: {name}: {len(paths)} files -> {counts}")
    return counts


plain = [f"{animal}/{number}.png" for animal in ("cat", "dog") for number in range(3)]
assert rows("plain", plain) == {"train": 6}
assert rows("two_words", [*plain, "cat/on_train_7.png", "dog/test_3.png"]) == {"train": 1, "test": 1}
classes = [f"{folder}/{number}.png" for folder in ("cat", "dog", "test") for number in range(3)]
assert rows("class_named_test", classes) == {"test": 3}
PY
