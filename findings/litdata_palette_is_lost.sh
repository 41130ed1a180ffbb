#!/usr/bin/env bash
# litdata 0.2.76: a palette picture (mode P) comes back with the right numbers and no palette, so that it is black.
#
# Behaviour: the serializer stores mode, size and the bytes of the pixels. The palette is none of these, nor is a transparent colour.
# The picture that a data set returns says mode P, and convert("RGB") gives other colours without an error. GIF and many PNG files are
# such pictures.
# Wanted: the colours that were stored, or an error when writing.
# Seen: red (200, 30, 30) and blue (30, 30, 200): both (0, 0, 0) after a round trip; the numbers of the pixels are equal.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check litdata==0.2.76 torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 pillow==13.0.0
cd "$work"
"$work/venv/bin/python" - <<'PY'
import shutil
import warnings
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

warnings.simplefilter("ignore")
from importlib.metadata import version  # noqa: E402

from litdata import StreamingDataset  # noqa: E402
from litdata.streaming.writer import BinaryWriter  # noqa: E402


def stored(picture: Image.Image) -> tuple[str, object]:
    """Write a picture into a chunk and read it back: the serializer's name and what a data set returns."""
    shutil.rmtree("chunks", ignore_errors=True)
    Path("chunks").mkdir()
    writer = BinaryWriter("chunks", chunk_bytes="1MB")
    writer[0] = {"picture": picture}
    writer.done()
    writer.merge()
    return writer._data_format[0], StreamingDataset("chunks")[0]["picture"]


print(f"litdata {version('litdata')}, Pillow {PIL.__version__}")

pixels = np.full((16, 16, 3), (200, 30, 30), np.uint8)
pixels[8:] = (30, 30, 200)
picture = Image.fromarray(pixels).quantize(2)
name, back = stored(picture)
colours = [[each.convert("RGB").getpixel(at) for at in ((0, 0), (0, 15))] for each in (picture, back)]
print(f"serializer {name}: mode {picture.mode} -> {back.mode}, colours {colours[0]} -> {colours[1]}")
assert back.mode == "P"
assert np.array_equal(np.asarray(picture), np.asarray(back))
assert colours == [[(200, 30, 30), (30, 30, 200)], [(0, 0, 0), (0, 0, 0)]]
PY
