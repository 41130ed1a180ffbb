"""Measure what `advise` measures for every scenario, and keep it as lines of JSON.

python -m benchmarks.advise.facts --root DATA --sources FOLDER [--only cifar10-25-imagenet] [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.advise.runs import images_of, words_of
from benchmarks.advise.scenarios import SCENARIOS, Scenario
from tlearn.cli.arguments import split_arguments
from tlearn.commands.advise.advise import ask

FACTS = Path(__file__).parent / "facts.jsonl"


def measure(scenario: Scenario, seed: int, root: Path, sources: Path) -> dict[str, Any]:
    """Measure the facts of one scenario."""
    words = ["fit", *words_of(scenario, seed, images_of(scenario, seed, root), sources)]
    with TemporaryDirectory() as folder:
        start_s = time.perf_counter()
        asked = ask(split_arguments([*words, "--trainer.default_root_dir", folder]))
        time_s = time.perf_counter() - start_s
    measured = asdict(asked.advice.measurements)
    return {"scenario": scenario.name, "seed": seed, "time_s": round(time_s, 2), "facts": measured}


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[scenario.name for scenario in SCENARIOS])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--out", type=Path, default=FACTS)
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    lines = arguments.out.read_text().splitlines() if arguments.out.exists() else []
    done = {(line["scenario"], line["seed"]) for line in map(json.loads, lines)}
    for seed in arguments.seeds:
        for scenario in (s for s in SCENARIOS if s.name in arguments.only and (s.name, seed) not in done):
            found = measure(scenario, seed, arguments.root, arguments.sources)
            with arguments.out.open("a") as file:
                file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
