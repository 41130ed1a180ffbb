"""What a probe costs beside the bare forward pass over the same images at the same sizes.

    python -m benchmarks.probe_cost --image_sizes 32,64 --config finetune.yaml --data.root DATA

The bare pass is the network as tlearn runs it when frozen (BatchNorm folded, fastest batch), without a tap before the
last stage; passes and probes take turns, the ratio is that of the medians of three.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from statistics import median

from lightning.pytorch import Trainer

from tlearn.analysis.probe import probe
from tlearn.analysis.stage_features import network_like
from tlearn.cli.arguments import split_arguments
from tlearn.commands.probe import drop_strategy, take_words
from tlearn.commands.untrained import untrained
from tlearn.training.module import TransferModule
from tlearn.training.strategies.features import iterate_over_split

_TIMES = 3


def _bare_pass(trainer: Trainer, module: TransferModule, size_px: int) -> float:
    start_s = time.perf_counter()
    bare = network_like(module, size_px, freeze_backbone=True)
    bare.trainer = trainer
    bare.to(module.device).setup("fit")
    for split in ("train", "val"):
        for _ in iterate_over_split(trainer, bare, split, bare.features):
            pass
    return time.perf_counter() - start_s


def main() -> None:
    """Print the seconds of both and their ratio."""
    _, sizes_px, _, arguments = take_words(split_arguments(["probe", *sys.argv[1:]]))
    cli = untrained(arguments, change=partial(drop_strategy, place="probe", sizes_px=sizes_px))
    bare_s, probe_s = list[float](), list[float]()
    with cli.measuring():
        for _ in range(_TIMES):
            bare_s.append(sum(_bare_pass(cli.trainer, cli.model, size) for size in sizes_px))
            start_s = time.perf_counter()
            probe(cli.trainer, cli.model, sizes_px)
            probe_s.append(time.perf_counter() - start_s)
    ratio = median(probe_s) / median(bare_s)
    print(f"probe {median(probe_s):.1f} s, bare passes {median(bare_s):.1f} s: {ratio:.2f} times (n = {_TIMES})")


if __name__ == "__main__":
    main()
