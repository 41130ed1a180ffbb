#!/usr/bin/env bash
# onnxruntime 1.32.0: a big-endian array is taken for a little-endian one, and the network gets other numbers.
#
# Behaviour: the input's type is compared by kind and size only. np.asarray of a big-endian 16-bit TIFF opened by Pillow is such an array
# (dtype >u2), and prints the right numbers everywhere else. No error, as torch.from_numpy raises one.
# Wanted: swapped on the way in, or refused.
# Seen: uint16 [1, 4095] -> [256, 65295]; float32 [1.0, 2.0] -> 4.6e-41 and 9.0e-44.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6 pillow==13.0.0 tifffile==2026.3.3
cd "$work"
"$work/venv/bin/python" - <<'PY'
import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper


def session(node: onnx.NodeProto, x: tuple[int, int], y: tuple[int, int], *constants: onnx.TensorProto) -> onnxruntime.InferenceSession:
    """Return a session of one node from x to y, each given by its element type and number of axes."""
    ends = [helper.make_tensor_value_info(name, kind, [None] * axes) for name, (kind, axes) in (("x", x), ("y", y))]
    graph = helper.make_graph([node], "one_node", ends[:1], ends[1:], list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


print(f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}, numpy {np.__version__}")

import tifffile
from PIL import Image

KINDS = {"u2": onnx.TensorProto.UINT16, "f4": onnx.TensorProto.FLOAT}

for kind, values in (("u2", [1, 4095]), ("f4", [1.0, 2.0])):
    run = session(helper.make_node("Identity", ["x"], ["y"]), (KINDS[kind], 1), (KINDS[kind], 1))
    for order in "<>":
        given = np.array(values, order + kind)
        read = run.run(None, {"x": given})[0]
        print(f"{given.dtype.str} {given.tolist()} -> {read.dtype.str} {read.tolist()}")
        assert np.array_equal(read, given if order == "<" else np.array(values, "<" + kind).byteswap())
tifffile.imwrite("deep.tif", np.full((8, 8), 4095, np.uint16), byteorder=">")
picture = np.asarray(Image.open("deep.tif"))
run = session(helper.make_node("Identity", ["x"], ["y"]), (KINDS["u2"], 2), (KINDS["u2"], 2))
print("a picture of", np.unique(picture).tolist(), picture.dtype.str, "->", np.unique(run.run(None, {"x": picture})[0]).tolist())
assert np.unique(run.run(None, {"x": picture})[0]).tolist() == [65295]
PY
