"""A session of labelling without a network: it remembers decisions, and makes up proposals and a curve."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tlearn.base.errors import TlearnError
from tlearn.data.decoding.reading_options import Reading
from tlearn.pages.server.pool_key import pool_key


class FakeSession:
    """As `LabelSession`, of pictures in a folder.

    Args:
        folder: Where the pictures are.
        names: Their names.
        class_names: The classes at the start.
        choosing_s: How long the choice of a batch takes.
    """

    def __init__(self, folder: Path, names: Sequence[str], class_names: Sequence[str], choosing_s: float = 0) -> None:
        self.folder, self.names, self.class_names = folder, list(names), list(class_names)
        self.reading = Reading()
        self.choosing_s, self.saving_s = choosing_s, 0.0
        self.fault = ""  # why no batch can be chosen
        self.decisions: dict[int, tuple[str, str]] = {}  # in the order of the decisions

    @property
    def key(self) -> str:
        return pool_key(self.folder, self.names)

    def path(self, number: int) -> Path:
        return self.folder / self.name(number)

    def name(self, number: int) -> str:
        if not 0 <= number < len(self.names):
            raise TlearnError(f"there is no picture {number}")
        return self.names[number]

    def decided(self, numbers: Iterable[int]) -> dict[int, tuple[str, str]]:
        return {each: self.decisions[each] for each in numbers if each in self.decisions}

    def state(self) -> dict[str, Any]:
        decisions = [decision for decision, _ in self.decisions.values()]
        counts = {"label": "labelled", "exclude": "none", "unsure": "unsure"}
        labelled = decisions.count("label")
        curve = [
            {"labels": each, "score": _score(each), "low": _score(each) - 0.6 / each, "high": _score(each) + 0.4 / each}
            for each in range(10, labelled + 1, 10)
        ]
        ahead = [{"labels": labelled + 50 * step, "score": _score(labelled + 50 * step)} for step in range(1, 5)]
        known = len(curve) > 2
        text = "50 more are worth about +1.2 points; beyond 400 little" if known else "too early to say"
        return {
            "title": self.folder.name,
            "folder": str(self.folder),
            "list": str(self.folder / "tlearn-labels.csv"),
            "class_names": self.class_names,
            "counts": {"pictures": len(self.names), "left": len(self.names) - len(decisions)}
            | {words: decisions.count(each) for each, words in counts.items()},
            "curve": curve,
            "forecast": {"text": text, "points": ahead if known else []},
            "version": len(curve),
            "choosing": False,
            "remark": "",
        }

    def next(self, count: int | None) -> dict[str, Any]:
        time.sleep(self.choosing_s)
        if self.fault:
            raise TlearnError(self.fault)
        left = [number for number in range(len(self.names)) if number not in self.decisions][: count or 50]
        return {"version": 0, "items": [self._item(number) for number in left]}

    def decide(self, decisions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        time.sleep(self.saving_s)
        for each in decisions:
            if each["decision"] == "label" and each["label"] not in self.class_names:
                raise TlearnError(f"there is no class {each['label']!r}")
            self.decisions.pop(each["id"], None)
            self.decisions[each["id"]] = (each["decision"], each.get("label", ""))
        return self.state()

    def undo(self, ids: Sequence[int] | None) -> dict[str, Any]:
        wanted = list(self.decisions)[-1:] if ids is None else [each for each in ids if self.name(each)]
        undone = [each for each in wanted if each in self.decisions]
        for each in undone:
            del self.decisions[each]
        return {"ids": undone, "state": self.state()}

    def add_class(self, name: str) -> dict[str, Any]:
        if name in self.class_names:
            raise TlearnError(f"there is a class {name!r} already")
        self.class_names.append(name)
        return {"added": name, **self.state()}

    def _item(self, number: int) -> dict[str, Any]:
        proposed = self.class_names[number % len(self.class_names)] if self.class_names else None
        why = "typical of a cluster without a label" if number % 2 else "the network is unsure between two classes"
        probability = None if proposed is None else 0.4 + (number * 7 % 60) / 100
        return {"id": number, "name": self.names[number], "proposal": proposed, "probability": probability, "why": why}


def fake_session(
    folder: Path, count: int = 120, class_names: Sequence[str] = ("ants", "bees"), names: Sequence[str] = ()
) -> FakeSession:
    """Write pictures, each in a colour of its own under noise, and make a session of them."""
    names = [*names, *(f"picture {number:04d}.png" for number in range(count - len(names)))]
    for number, name in enumerate(names):
        draws = np.random.default_rng(number)
        pixels = draws.integers(40, 220, 3) + draws.normal(0, 20, (48, 64, 3))
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("wb") as file:
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "PNG")
    return FakeSession(folder, names, class_names)


def _score(labels: int) -> float:
    return float(0.97 - 0.5 * (labels + 2) ** -0.5)
