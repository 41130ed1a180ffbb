#!/usr/bin/env bash
# onnxruntime 1.32.0: Resize (linear) of a plain white uint8 picture makes some pixels 254; with antialias=1 it does not.
#
# Behaviour: the result is cut to uint8, not rounded, and a sum that falls a trifle short of 255 becomes 254. Pictures become darker by up to one
# level, half a level on average where weights are fractions. With antialias=1, and in float32, white stays white.
# Wanted: rounded, as with antialias=1.
# Seen: 255 everywhere, 16 x 16 to 7 x 7: values 254 and 255; antialias=1: 255 only. Noise: uint8 minus float32 is -0.52 levels on
# average, -0.03 with antialias=1.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
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

U8, F32 = onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT


def resized(pixels: np.ndarray, kind: int, antialias: int) -> np.ndarray:
    sizes = numpy_helper.from_array(np.array([1, 1, 7, 7], np.int64), "sizes")
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="linear", antialias=antialias)
    return session(node, (kind, 4), (kind, 4), sizes).run(None, {"x": pixels})[0]


white = np.full((1, 1, 16, 16), 255, np.uint8)
for antialias, expected in ((0, [254, 255]), (1, [255])):
    values = np.unique(resized(white, U8, antialias)).tolist()
    print(f"white, antialias={antialias}: {values}")
    assert values == expected
noise = np.random.default_rng(0).integers(0, 256, (1, 1, 16, 16), np.uint8)
for antialias, is_cut in ((0, True), (1, False)):
    bias = float((resized(noise, U8, antialias) - resized(noise.astype(np.float32), F32, antialias)).mean())
    print(f"noise, antialias={antialias}: uint8 minus float32 {bias:.2f} levels on average")
    assert (bias < -0.3) is is_cut
PY
