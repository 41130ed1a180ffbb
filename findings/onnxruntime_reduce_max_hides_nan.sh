#!/usr/bin/env bash
# onnxruntime 1.32.0: ReduceMax and ArgMax see a NaN only where it comes first; TopK, MaxPool and Softmax see it anywhere.
#
# Behaviour: a NaN behind the first value is passed over. A network whose logits hold a NaN answers the class of the largest other logit,
# or class 0, by the NaN's place, on an x86-64 processor. numpy returns NaN and its index in both.
# Wanted: the same answer wherever the NaN is; the ONNX text leaves it open.
# Seen: [1, nan, 3]: maximum 3.0, class 2; [nan, 1, 3]: maximum nan, class 0. numpy: nan and 1, nan and 0. TopK: nan in both.
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

F32, I64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
largest = session(helper.make_node("ReduceMax", ["x"], ["y"], keepdims=0), (F32, 1), (F32, 0))
chosen = session(helper.make_node("ArgMax", ["x"], ["y"], axis=0, keepdims=0), (F32, 1), (I64, 0))
one = numpy_helper.from_array(np.array([1], np.int64), "one")
top = session(helper.make_node("TopK", ["x", "one"], ["y", "index"]), (F32, 1), (F32, 1), one)
for logits, maximum, index in (([1.0, np.nan, 3.0], 3.0, 2), ([np.nan, 1.0, 3.0], np.nan, 0)):
    given = {"x": np.array(logits, np.float32)}
    found = [each.run(None, given)[0].reshape(-1)[0].item() for each in (largest, chosen, top)]
    print(f"{logits}: ReduceMax {found[0]}, ArgMax {found[1]}, TopK {found[2]}; numpy {np.max(logits)}, {np.argmax(logits)}")
    assert np.array_equal(found[0], maximum, equal_nan=True)
    assert found[1] == index
    assert np.isnan(found[2])
    assert np.isnan(np.max(logits))
PY
