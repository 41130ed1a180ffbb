"""What reporting costs: its share of an epoch, and the size of the event files.

``python -m benchmarks.reporting_cost fit --config finetune.yaml ...`` runs that command with a clock around every hook
of the callbacks of ``tlearn.reporting`` and around every logger, and prints what each took of the time of ``fit``.
Run it alone: the clock counts waiting too.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer

from tlearn.cli.arguments import split_arguments
from tlearn.cli.transfer_cli import TransferCLI, run

_HOOKS = ("on_train", "on_validation", "on_before", "on_fit", "on_save")


def timed_run(words: list[str]) -> tuple[TransferCLI, dict[str, float], float]:
    """Run a command, and return what came of it, seconds by callback or logger, and seconds of training."""
    spent: dict[str, float] = defaultdict(float)
    moments: list[float] = []
    fit = Trainer.fit

    def watched(self: Trainer, *given: Any, **named: Any) -> None:
        """Put clocks around what reports, and time the rest."""
        callbacks: list[Any] = self.callbacks  # type: ignore[attr-defined]  # set outside its class
        for part in [c for c in callbacks if type(c).__module__.startswith("tlearn.reporting")]:
            _clock(part, spent, [name for name in dir(part) if name.startswith(_HOOKS)])
        for logger in self.loggers:
            _clock(logger, spent, ["log_metrics", "log_hyperparams", "save", "finalize"])
        moments.append(time.perf_counter())
        fit(self, *given, **named)
        moments.append(time.perf_counter())

    Trainer.fit = watched  # type: ignore[method-assign]
    cli = run(split_arguments(words))
    return cli, spent, moments[1] - moments[0]


def _clock(part: Any, spent: dict[str, float], names: list[str]) -> None:
    name = type(part).__name__
    for method in names:
        function = getattr(part, method)

        def timed(*given: Any, function: Any = function, **named: Any) -> Any:
            """Run it, and note how long it took; what a callback logs reaches the loggers later."""
            start_s = time.perf_counter()
            try:
                return function(*given, **named)
            finally:
                spent[name] += time.perf_counter() - start_s

        setattr(part, method, timed)


def main(words: list[str]) -> None:
    """Run the command and print the table."""
    cli, spent, total_s = timed_run(words)
    trainer = cli.trainer
    for name, seconds in sorted(spent.items(), key=lambda pair: -pair[1]):
        print(f"{name:32} {seconds:8.2f} s  {seconds / total_s:7.2%}")
    all_s = sum(spent.values())
    print(f"{'all reporting':32} {all_s:8.2f} s  {all_s / total_s:7.2%} of {total_s:.1f} s of fit")
    folder = Path(trainer.log_dir or ".")
    sizes = [path.stat().st_size for path in folder.glob("events.*")]
    print(f"event files {sum(sizes) / 1e6:.2f} MB after {trainer.current_epoch} epochs")


if __name__ == "__main__":
    main(sys.argv[1:])
