"""A network as an ONNX file, and ONNX Runtime to ask it. Letters: N images, C channels, S pixels."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tlearn.deploy.exported_network import ExportedNetwork, traced

INPUT = "images"
_BATCH = "N"
_ERRORS_ALONE = 3  # ONNX Runtime's severity: its warnings tell of optimisations that it leaves out


def write_onnx(network: ExportedNetwork, path: Path, about: Mapping[str, Any]) -> list[Path]:
    """Write a network as ONNX; return the files.

    Args:
        network: What to write.
        path: Where to.
        about: Goes into the file's properties, each value as JSON.
    """
    import onnx

    program = torch.onnx.export(
        traced(network),
        (),
        dynamo=True,
        input_names=[INPUT],
        output_names=network.output_names,
        verbose=False,  # else it counts its steps on stdout
    )
    assert program is not None
    model = program.model_proto
    _clean(model)
    set_properties(model, about)
    onnx.save(model, path)
    return [path]


def outputs_of_onnx(path: Path) -> Callable[[Tensor], list[Tensor]]:
    """Return what gives all outputs for uint8 (N, C, S, S), with ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ALONE
    options.intra_op_num_threads = torch.get_num_threads()  # its own count is that of the machine, not of a container
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def outputs(images: Tensor) -> list[Tensor]:
        return [torch.from_numpy(each) for each in session.run(None, {INPUT: images.numpy()})]

    return outputs


def open_onnx(path: Path) -> Callable[[Tensor], Tensor]:
    """Return what answers for uint8 (N, C, S, S): the first output."""
    outputs = outputs_of_onnx(path)
    return lambda images: outputs(images)[0]


def engine() -> str:
    """Name what answers."""
    import onnxruntime

    return f"ONNX Runtime {onnxruntime.__version__}"


def set_properties(model: Any, about: Mapping[str, Any]) -> None:
    """Replace the properties of an ``onnx.ModelProto``."""
    import onnx

    onnx.helper.set_model_props(model, {key: json.dumps(value, ensure_ascii=False) for key, value in about.items()})


def _clean(model: Any) -> None:
    """Drop the traces of the code that was exported, which name this machine's folders, and call the batch N."""
    graph = model.graph
    parts = [model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer]
    for part in parts:
        del part.metadata_props[:]
    shapes = [value.type.tensor_type.shape for value in (*graph.input, *graph.output, *graph.value_info)]
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for dim in (dim for shape in shapes for dim in shape.dim if dim.dim_param):
        dim.dim_param = dim.dim_param.replace(batch, _BATCH)
