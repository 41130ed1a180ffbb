"""The verb ``advise``: which strategy, image size and rates for these images, and why."""

from __future__ import annotations

import textwrap
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Callback

from tlearn.app import run_as
from tlearn.arguments import Arguments
from tlearn.errors import TlearnError
from tlearn.outputs import write_whole
from tlearn.probing import ProbeCLI, take_words, with_sizes, write_result
from tlearn.reporting.advice_text import print_advice, why
from tlearn.strategies.advice import Advice, decide
from tlearn.strategies.advise import AdviseCallback
from tlearn.strategies.effects import EFFECTS
from tlearn.strategies.facts import Facts

_DEFAULT_OUT = Path("advised.yaml")
_USAGE = """usage: python -m tlearn advise --config CONFIG [--image_sizes 32,64,128] [--out advised.yaml]

measures on your images: probes of every stage, nested subsets, short trials of the strategies that could win; prints
what to do, why, what to expect and what it costs, and writes a config that fit takes; CONFIG and options are those of
fit: network, weights, data and trainer.max_epochs are kept, the strategy is what is asked

  --image_sizes S,S  sides in pixels to choose from; model.image_size, or the data's own, by default
  --out FILE         the config to write; advised.yaml by default. All that was measured is in the run folder"""


class AdviseCLI(ProbeCLI):
    """The command line of ``fit``, of which the strategy is left open."""

    place = "advise"

    def __init__(self, *args: Any) -> None:
        self.begin_s = time.perf_counter()
        super().__init__(*args)

    def before_instantiate_classes(self) -> None:
        """Note the epochs before they are taken away.

        Raises:
            TlearnError: Their number is open.
        """
        epochs = self.config[self.verb].trainer.max_epochs
        if epochs is None or epochs < 1:
            raise TlearnError(
                f"advise needs trainer.max_epochs of at least 1, got {epochs}: it is what strategies may use"
            )
        self.epochs = int(epochs)
        super().before_instantiate_classes()

    def own_callbacks(self, config: dict[str, Any]) -> list[Callback]:
        """Measure, and nothing else."""
        return [AdviseCallback(self.sizes_px, self.epochs, self.begin_s)]


def advise(arguments: Arguments) -> Advice | None:
    """Print what to do and why, and write a config that does it.

    Raises:
        TlearnError: A fault in the words, data or weights that nothing can be told from, or whatever ``fit`` refuses.
    """
    if any(word in ("-h", "--help") for word in arguments.options):
        print(_USAGE)
        return None
    out, sizes_px, arguments = take_words(arguments)
    cli = run_as(with_sizes(AdviseCLI, sizes_px), arguments)
    facts = next(c for c in cli.trainer.callbacks if isinstance(c, AdviseCallback)).facts  # type: ignore[attr-defined]
    assert facts is not None
    advice = decide(facts, EFFECTS)
    print_advice(facts, advice)
    write_result(cli.trainer, "advice.json", {"advice": asdict(advice), "facts": asdict(facts)}, None)
    out = out or _DEFAULT_OUT
    write_whole(out, advised_config(cli.plain, facts, advice, out.name))
    print(f"advice took {facts.start_s + facts.time_s:.0f} s; to follow it: python -m tlearn fit --config {out}")
    return advice


def advised_config(plain: dict[str, Any], facts: Facts, advice: Advice, name: str) -> str:
    """Return the YAML of a config that follows the advice, with the reasons above it.

    Args:
        plain: The whole config that advice was asked for.
        facts: What was measured.
        advice: The choice.
        name: Of the file, for the command in its header.
    """
    candidate = advice.choice.candidate
    model = {key: plain["model"][key] for key in ("backbone", "weights")} | {"image_size": facts.size_px}
    if plain["model"].get("backbone_args"):
        model["backbone_args"] = plain["model"]["backbone_args"]
    trainer = {key: plain["trainer"][key] for key in ("accelerator", "precision") if plain["trainer"].get(key)}
    config = {
        "seed_everything": plain["seed_everything"],
        "trainer": trainer | {"max_epochs": facts.epochs if _takes_steps(candidate.options) else 1},
        "model": model | candidate.options,
        "data": plain["data"],
    }
    words = [f"python -m tlearn fit --config {name}", "", *textwrap.wrap(why(facts, advice), 116)]
    header = "".join(f"# {line}".rstrip() + "\n" for line in words)
    return header + yaml.safe_dump(config, sort_keys=False, allow_unicode=True)


def _takes_steps(options: dict[str, Any]) -> bool:
    return "head_solver" not in options
