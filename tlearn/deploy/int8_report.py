"""What 8 bits cost: an ONNX file before and after, on the same images. Letters: N images, K classes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tlearn.base.types import LABEL_THRESHOLD, Task
from tlearn.deploy.agreement import Answer, compare
from tlearn.deploy.examples import Examples
from tlearn.deploy.int8 import CALIBRATION_BATCH, MOST_CALIBRATING, quantise
from tlearn.deploy.onnx_file import open_onnx

_MOST_MEASURED = 1024
_BATCH = 32


def quantise_and_report(task: Task, file: Path, examples: Examples) -> None:
    """Replace a float32 ONNX file by its 8-bit twin, and print what that cost and saved.

    Args:
        task: The network's.
        file: A file of `write_onnx`.
        examples: Images to calibrate on, and to measure with.
    """
    target = file.with_name(f"int8-{file.name}")
    quantise(file, target, examples.to_calibrate(MOST_CALIBRATING, CALIBRATION_BATCH))
    before, targets = _answers(open_onnx(file), examples)
    after, _ = _answers(open_onnx(target), examples)
    if examples.labelled:
        said = f"{score(task, before, targets)} before, {score(task, after, targets)} after"
    else:
        said = f"{compare(task, before, after)} from float32"
    calibrating = min(len(examples.calibrate), MOST_CALIBRATING)
    sizes = [f"{path.stat().st_size / 1e6:.1f} MB" for path in (file, target)]
    print(
        f"int8, calibrated on {calibrating} images: {said}, on {len(before)} {examples.what}; {sizes[0]} to {sizes[1]}"
    )
    target.replace(file)


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
    for batch in examples.to_check(_MOST_MEASURED, _BATCH):
        batches.append((answer(batch.images), batch.targets))
    answers, targets = zip(*batches, strict=True)
    return torch.cat(answers), torch.cat(targets)
