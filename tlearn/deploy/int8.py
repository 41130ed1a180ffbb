"""Exports with 8-bit weights, and what they cost in accuracy."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tlearn.base.progress import tracked
from tlearn.base.types import LABEL_THRESHOLD, Batch, Task
from tlearn.deploy.check import Answer, Examples, compare
from tlearn.deploy.onnx_file import INPUT, open_onnx, set_properties

MOST_CALIBRATING = 256
CALIBRATION_BATCH = 4  # every map of the network is kept for a batch: 0.7 GB for 16 pictures of 224 px


def quantise(source: Path, target: Path, batches: Iterable[Batch]) -> None:
    """Write an 8-bit twin of a float32 ONNX file; preprocessing and the last step to probabilities stay as they are.

    Activations are unsigned, weights signed: with VNNI instructions that is twice as fast as both signed.

    Args:
        source: A file of `write_onnx`.
        target: The file to write; what is needed on the way stays beside it.
        batches: Training images.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # ships no types
        """Hands out one batch after the other."""

        def __init__(self) -> None:
            self._batches = iter(batches)

        def get_next(self) -> dict[str, Any] | None:
            """Return a batch by the input's name, or ``None`` at the end."""
            batch = next(self._batches, None)
            return None if batch is None else {INPUT: batch.images.numpy()}

    prepared = target.with_name(f"prepared-{target.name}")
    with _silent():
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            target,
            Reader(),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_outside(onnx.load(prepared).graph.node),
        )
    model = onnx.load(target)
    about = {entry.key: json.loads(entry.value) for entry in onnx.load(source).metadata_props}
    set_properties(model, about | {"quantization": "int8: ONNX Runtime, static, QDQ, per channel, MinMax"})
    onnx.save(model, target)


def _outside(nodes: Sequence[Any]) -> list[str]:
    """Name the nodes before the first convolution, which prepare pixels, and behind the last product, the head's."""
    kinds = [node.op_type for node in nodes]
    first = kinds.index("Conv") if "Conv" in kinds else 0
    last = max(place for place, kind in enumerate(kinds) if kind in ("Gemm", "MatMul"))
    return [node.name for node in (*nodes[:first], *nodes[last + 1 :])]


@contextmanager
def _silent() -> Iterator[None]:
    """Hold back what the quantiser logs: that a LayerNorm's weights have no channels; what 8 bits cost is measured."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


_MOST_MEASURED = 1024
_BATCH = 32


def quantise_and_report(task: Task, file: Path, examples: Examples) -> str:
    """Replace a float32 ONNX file by its 8-bit twin, and return in words what that cost and saved.

    Args:
        task: The network's.
        file: A file of `write_onnx`.
        examples: Images to calibrate on, and to measure with.
    """
    target = file.with_name(f"int8-{file.name}")
    count = min(len(examples.calibrate), MOST_CALIBRATING)
    batches = examples.to_calibrate(count, CALIBRATION_BATCH)
    quantise(file, target, tracked(batches, "calibrating", -(-count // CALIBRATION_BATCH), "batches"))
    before, targets = _answers(open_onnx(file), examples)
    after, _ = _answers(open_onnx(target), examples)
    if examples.labelled:
        said = f"{score(task, before, targets)} before, {score(task, after, targets)} after"
    else:
        said = f"{compare(task, before, after)} from float32"
    sizes = [f"{path.stat().st_size / 1e6:.1f} MB" for path in (file, target)]
    target.replace(file)
    return f"int8, calibrated on {count} images: {said}, on {len(before)} {examples.what}; {sizes[0]} to {sizes[1]}"


def score(task: Task, answers: Tensor, targets: Tensor) -> str:
    """Say how good answers are.

    Args:
        task: The network's.
        answers: Probabilities (N, K), or values (N, K).
        targets: As in `Batch`.
    """
    if task == "regression":
        return f"mean absolute error {float((answers - targets).abs().mean()):.4g}"
    if task == "multilabel":
        right = (answers >= LABEL_THRESHOLD) == (targets >= LABEL_THRESHOLD)
        return f"{100 * float(right[~targets.isnan()].double().mean()):.2f} % of labels right"
    return f"accuracy {100 * float((answers.argmax(dim=1) == targets).double().mean()):.2f} %"


def _answers(answer: Answer, examples: Examples) -> tuple[Tensor, Tensor]:
    batches = list[tuple[Tensor, Tensor]]()
    count = min(len(examples.check), _MOST_MEASURED)
    for batch in tracked(examples.to_check(count, _BATCH), "measuring accuracy", -(-count // _BATCH), "batches"):
        batches.append((answer(batch.images), batch.targets))
    answers, targets = zip(*batches, strict=True)
    return torch.cat(answers), torch.cat(targets)
