"""What a probe costs beside the bare forward pass over the same images at the same sizes.

    python -m benchmarks.probe_cost --image_sizes 32,64 --config finetune.yaml --data.root DATA

The bare pass is the network as tlearn runs it when frozen (BatchNorm folded, fastest batch), without a tap before the
last stage; passes and probes take turns, the ratio is that of the medians of three.
"""

from __future__ import annotations

import sys
import time
from statistics import median

from lightning.pytorch import LightningModule, Trainer

from tlearn.analysis.probe import ProbeCallback, probe
from tlearn.analysis.stage_features import network_like
from tlearn.cli.arguments import split_arguments
from tlearn.cli.transfer_cli import run_as
from tlearn.commands.probe import ProbeCLI, take_words, with_sizes
from tlearn.training.module import TransferModule
from tlearn.training.strategies.features import iterate_over_split

_TIMES = 3


class _CostCallback(ProbeCallback):
    """Time both."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the seconds and their ratio."""
        assert isinstance(pl_module, TransferModule)
        bare_s, probe_s = list[float](), list[float]()
        for _ in range(_TIMES):
            bare_s.append(sum(_bare_pass(trainer, pl_module, size) for size in self.sizes_px))
            start_s = time.perf_counter()
            probe(trainer, pl_module, self.sizes_px)
            probe_s.append(time.perf_counter() - start_s)
        ratio = median(probe_s) / median(bare_s)
        print(f"probe {median(probe_s):.1f} s, bare passes {median(bare_s):.1f} s: {ratio:.2f} times (n = {_TIMES})")
        trainer.should_stop = True


class _CostCLI(ProbeCLI):
    """The command line of the probe, timed."""

    def own_callbacks(self, config: dict[str, object]) -> list[_CostCallback]:  # type: ignore[override]
        """Time it."""
        return [_CostCallback(self.sizes_px)]


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
    """Run it."""
    _, sizes_px, arguments = take_words(split_arguments(["probe", *sys.argv[1:]]))
    run_as(with_sizes(_CostCLI, sizes_px), arguments)


if __name__ == "__main__":
    main()
