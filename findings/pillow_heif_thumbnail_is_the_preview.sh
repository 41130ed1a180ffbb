#!/usr/bin/env bash
# pillow-heif 1.8.1 with Pillow 13.0.0: thumbnail() of a HEIC file is made of the small preview in it, not of the picture.
#
# Behaviour: Image.thumbnail asks the opener's draft() for something smaller. pillow-heif's draft() puts the embedded preview in
# the picture's place, size and all; it is a second coded picture, of another quality. JPEG's draft() reads the picture itself at
# a fraction.
# Wanted: the picture, made small; or a line in the documents that thumbnail() does otherwise.
# Seen: a noisy picture of 1024 x 768, thumbnail((200, 150)): mean error 7.3 of 255 with a preview of 512 px, 0.3 without one.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 pillow-heif==1.8.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import io

import numpy as np
import PIL
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()
noise = np.random.default_rng(0).integers(0, 256, (192, 256, 3), dtype=np.uint8)
picture = Image.fromarray(noise).resize((1024, 768), Image.Resampling.BICUBIC)


def stored(previews: list[int]) -> io.BytesIO:
    file = io.BytesIO()
    pillow_heif.from_pillow(picture).save(file, quality=95, thumbnails=previews)
    return file


def error(file: io.BytesIO) -> float:
    small, expected = Image.open(file), picture.copy()
    small.thumbnail((200, 150))
    expected.thumbnail((200, 150))
    return float(np.abs(np.asarray(small, float) - np.asarray(expected, float)).mean())


drafted = Image.open(stored([512])).draft("RGB", (200, 150))
found = {"preview": error(stored([512])), "none": error(stored([]))}
print(f"Pillow {PIL.__version__}, pillow-heif {pillow_heif.__version__}: draft {drafted}, mean errors {found}")
assert drafted is not None and drafted[1][2:] == (512, 384)
assert found["preview"] > 10 * found["none"]
PY
