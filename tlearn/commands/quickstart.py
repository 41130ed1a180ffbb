"""The offline demonstration: learn the digits 0-4, transfer to 5-9 with few labels, compare with from scratch."""

from __future__ import annotations

from tlearn.base.next_command import command_line
from tlearn.base.places import DEFAULT_ROOT
from tlearn.cli.arguments import split_arguments
from tlearn.cli.transfer_cli import TransferCLI, run
from tlearn.reporting.terminal.outcome import without_next
from tlearn.training.callbacks.checkpoints import best_checkpoint


def quickstart(root: str | None) -> None:
    """Run five commands, print each before it runs, and at the end both test accuracies and what comes next.

    Args:
        root: The folder for the runs; ``None`` is ``runs/``.
    """
    place = ["--trainer.default_root_dir", root] if root else []
    source = _fit("quickstart.yaml", *place)
    scratch = _fit_and_test("null", place)
    transferred = _fit_and_test(source, place)
    print(
        "\ndigits 5-9, 3 labels each, test accuracy: "
        f"from scratch {scratch:.1%}, transferred from the digits 0-4 {transferred:.1%}\n"
        "look at it: the reports named above, or "
        f"python -m tlearn.reporting.tensorboard --logdir {root or DEFAULT_ROOT} --host 127.0.0.1\n"
        "then your own pictures, in my_pictures with a folder for each class\n"
        f"next: {command_line('fit', 'my_pictures')}",
        flush=True,
    )


def _fit_and_test(weights: str, place: list[str]) -> float:
    best = _fit("quickstart_transfer.yaml", "--model.weights", weights, *place)
    return float(_command("test", "--ckpt_path", best).trainer.callback_metrics["test/acc"])


def _fit(config: str, *options: str) -> str:
    trainer = _command("fit", "--config", config, *options).trainer
    best = best_checkpoint(trainer)
    assert best is not None  # the config validates
    return best.best_model_path


def _command(*words: str) -> TransferCLI:
    print(f"\n$ {command_line(*words)}", flush=True)
    with without_next():
        return run(split_arguments(words))
