#!/usr/bin/env bash
# litdata 0.2.76: a JPEG opened by its path and changed in place is stored as the file was, before the change.
#
# Behaviour: the serializer of a JpegImageFile reads the file of that name again and stores its bytes. thumbnail(), paste() and
# exif_transpose(in_place=True) change the picture but not its class or file name, so that what optimize() stores is the
# original: in its full size, unmasked. The same picture opened from a BytesIO is stored as changed.
# Wanted: the pixels that the picture has.
# Seen: 60 x 40 pixels, thumbnail to 30 x 20: stored 60 x 40 by path, 30 x 20 from bytes. Painted green: stored blue by path, green from bytes.
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

import io

Image.fromarray(np.full((40, 60, 3), (30, 30, 200), np.uint8)).save("blue.jpg", quality=95)


def small(picture: Image.Image) -> None:
    picture.thumbnail((30, 20))


def green(picture: Image.Image) -> None:
    picture.paste((0, 255, 0), (0, 0, 60, 40))


for change in (small, green):
    seen = {}
    for source in ("blue.jpg", io.BytesIO(Path("blue.jpg").read_bytes())):
        picture = Image.open(source)
        change(picture)
        name, tensor = stored(picture)
        way = "by path" if isinstance(source, str) else "from bytes"
        seen[way] = (tuple(tensor.shape[1:]), "RGB"[int(tensor[:, 5, 5].argmax())])
        print(f"{change.__name__}, opened {way}: picture {picture.size}, {picture.getpixel((5, 5))}; serializer {name}, stored {seen[way]}")
    assert seen["by path"] == ((40, 60), "B")
    assert seen["from bytes"] == (((20, 30), "B") if change is small else ((40, 60), "G"))
PY
