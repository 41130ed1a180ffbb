"""A run's folder made up for tests of what is written about it, and a page taken to parts."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from PIL import Image

NAMES = ["cat", "dog", "horse"]
CONFUSION = [[41, 7, 2], [5, 43, 3], [1, 4, 45]]
HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "a\nb | c\u202ed"]
_VOID = {"meta", "img", "br", "link", "wbr"}


class Page(HTMLParser):
    """A page in parts: its elements with their attributes, and the text of each kind of element."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag in ("dt", "dd", "th", "td"):
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        shown = self._open if self._open[-1:] != ["script"] else ["script"]  # nobody reads a script
        for tag in shown:
            self.texts[tag][-1] += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def having(self, css: str) -> list[dict[str, str]]:
        return [attributes for _, attributes in self.elements if css in attributes.get("class", "").split()]

    @property
    def text(self) -> str:
        return " ".join(self.texts["body"][0].replace("\u00a0", " ").split())


def picture(kind: str, colour: tuple[int, int, int]) -> str:
    data = io.BytesIO()
    Image.new("RGB", (12, 12), colour).save(data, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data.getvalue()).decode()}"


def bins(shift: float) -> list[dict[str, float]]:
    found = []
    for k in range(15):
        middle, images = (k + 0.5) / 15, 0 if k < 5 else 4 + k
        found.append(
            {"low": k / 15, "high": (k + 1) / 15, "count": images, "confidence": middle, "accuracy": middle - shift}
        )
    return found


def made_evaluation(split: str, names: Sequence[str] = NAMES) -> dict[str, Any]:
    return {
        "split": split,
        "epoch": 4,
        "images": 151,
        "task": "classification",
        "class_names": list(names),
        "temperature": 1.31,
        "confusion": CONFUSION,
        "per_class": [
            {"name": name, "images": images, "accuracy": accuracy, "precision": 0.87, "f1": 0.85}
            for name, images, accuracy in zip(names, (50, 51, 50), (0.82, 0.8431, 0.9), strict=True)
        ],
        "calibration": {"before": {"ece": 0.0512, "bins": bins(0.05)}, "after": {"ece": 0.0123, "bins": bins(0.01)}},
        "worst": [
            {
                "picture": picture(kind, colour),
                "name": f"{names[0]}/00{number}.jpg",
                "true": names[0],
                "predicted": names[1],
                "probability": 0.983,
                "error": None,
            }
            for number, (kind, colour) in enumerate((("PNG", (200, 120, 40)), ("JPEG", (40, 120, 200))))
        ],
        "scatter": None,
        "right": [made_picture(names[k], names[k], k, with_map=k == 0) for k in range(3)],
        "explained": "",
    }


def made_picture(true: str, said: str, number: int, with_map: bool = False) -> dict[str, Any]:
    about = {"name": f"{true}/right {number}.jpg", "true": true, "predicted": said, "probability": 0.9, "error": None}
    colours = (40 * number, 200, 90), (250, 10, 10)
    maps = {"grad_cam": picture("JPEG", colours[1])} if with_map else {}
    return {"picture": picture("JPEG", colours[0]), **about, **maps}


def made_training(names: Sequence[str] = NAMES) -> dict[str, Any]:
    examples = [
        {"picture": picture("JPEG", (9, 9, 40 * k)), "name": f"train/{n}.jpg", "true": n} for k, n in enumerate(names)
    ]
    return {"split": "train", "images": 903, "examples": examples}


def made_card(names: Sequence[str] = NAMES) -> dict[str, Any]:
    counts = {name: 300 + k for k, name in enumerate(names)}
    return {
        "format": 1,
        "folder": "runs/finetune/version_0",
        "name": "finetune",
        "version": 0,
        "status": "finished",
        "command": "tlearn fit --config finetune.yaml --data.init_args.root 'my pictures'",
        "started": "2026-11-26T08:30:00+00:00",
        "time_s": 123.4,
        "epochs": {"done": 5, "planned": 5},
        "best": {"monitor": "val/acc", "value": 0.8641, "epoch": 4, "checkpoint": "checkpoints/best.ckpt"},
        "metrics": {"train/loss": 0.2031, "val/loss": 0.4125, "val/acc": 0.8523},
        "test": {
            "command": "tlearn test --ckpt_path best",
            "checkpoint": "checkpoints/best.ckpt",
            "metrics": {"test/loss": 0.4417, "test/acc": 0.8543, "test/acc_macro": 0.8544},
        },
        "task": "classification",
        "class_names": list(names),
        "model": {"backbone": "resnet18", "weights": "DEFAULT", "image_size": None, "optimizer": "SGD", "lr": 0.001},
        "temperature": 1.31,
        "parameters": {"trainable": 8_395_267, "frozen": 2_782_784},
        "stages": [
            stage("layer3", 0, 2_099_712, "", "fixed"),
            stage("layer4", 8_393_728, 0, "0.1", "follows"),
            stage("head", 1539, 0, "1", ""),
        ],
        "audit": {"frozen_tensors": 75, "epochs_checked": 5, "result": "unchanged"},
        "data": {
            "module": "ImageFolderDataModule",
            "options": {"root": "my pictures", "batch_size": 64, "augment": {"flip": True, "mixup_alpha": 0.0}},
            "fingerprint": "ab12cd34",
            "splits": {"train": {"images": 903, "classes": counts}, "val": {"images": 151}, "test": {"images": 151}},
        },
        "doctor": {
            "findings": [
                {"severity": "warning", "what": "3 pictures have a copy in val", "files": [["a.jpg", "b.jpg"]]},
                {"severity": "note", "what": "grey pictures among coloured ones", "files": []},
            ],
            "note": "",
        },
        "environment": {"tlearn": "0.1.0", "torch": "2.14.1", "device": "cpu (2 cores)", "seed": 0},
    }


def stage(name: str, trainable: int, frozen: int, lr_scale: str, batch_norm: str) -> dict[str, Any]:
    numbers = {"trainable": trainable, "frozen": frozen, "left_out": 0}
    return {"stage": name, **numbers, "lr_scale": lr_scale, "batch_norm": batch_norm}


def csv_of(epochs: int, metric: str = "acc") -> str:
    """Lightning's CSVLogger: a row for the rates without an epoch, one for validation, one for training."""
    head = f"epoch,lr-SGD/head,lr-SGD/layer4,step,train/{metric},train/loss,val/{metric},val/loss\r\n"
    rows = []
    for epoch in range(epochs):
        rate, done, step = 0.001 * (1 - epoch / epochs), epoch / epochs, 15 * (epoch + 1) - 1
        rows.append(f",{rate},{rate / 10},{15 * epoch},,,,\r\n")
        rows.append(f"{epoch},,,{step},,,{0.6 + 0.25 * done},{0.9 - 0.5 * done}\r\n")
        rows.append(f"{epoch},,,{step},{0.5 + 0.45 * done},{1.2 - done},,\r\n")
    return head + "".join(rows)


def write_run(folder: Path, card: dict[str, Any], csv: str = "", **evaluations: dict[str, Any]) -> Path:
    (folder / "evaluation").mkdir(parents=True)
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    if csv:
        (folder / "metrics.csv").write_text(csv, encoding="utf-8", newline="")
    for split, evaluation in evaluations.items():
        (folder / "evaluation" / f"{split}.json").write_text(json.dumps(evaluation), encoding="utf-8")
    return folder


def full_run(folder: Path, names: Sequence[str] = NAMES) -> Path:
    evaluations = {split: made_evaluation(split, names) for split in ("val", "test")}
    return write_run(folder, made_card(names), csv_of(5), train=made_training(names), **evaluations)
