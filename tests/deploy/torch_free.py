"""Classify photographs without torch: python torch_free.py model.onnx photo.jpg ... (numpy, pillow, onnxruntime)."""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1])
about = {key: json.loads(text) for key, text in session.get_modelmeta().custom_metadata_map.items()}
size, crop_pct = about["image_size_px"], about["reading"]["crop_pct"]
assert about["reading"]["crop_mode"] == "center", about["reading"]["how"]
for name in sys.argv[2:]:
    photo = ImageOps.exif_transpose(Image.open(name)).convert("RGB")
    side = round(crop_pct * min(photo.size))
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    square = photo.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(square).transpose(2, 0, 1)[None]
    (answer,) = session.run(None, {"images": pixels})
    best = answer[0].argmax()
    print(f"{name}\t{about['class_names'][best]}\t{answer[0, best]:.4f}")
