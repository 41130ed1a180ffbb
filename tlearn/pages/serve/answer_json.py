"""Answers as JSON. K classes."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tlearn.deploy.predictor import Prediction
from tlearn.pages.serve.served_run import ServedRun

UNKNOWN = "unknown"


def answer_of(run: ServedRun, name: str, prediction: Prediction, remark: str, top_k: int | None) -> dict[str, Any]:
    """Return the answer for a picture; numbers are as exact as the network gives them.

    Args:
        run: Who answers.
        name: Of the picture.
        prediction: The answer.
        remark: What sets the picture apart from the training pictures.
        top_k: How many classes are listed; ``None`` for all.
    """
    return {
        "name": name,
        "run": run.name,
        **_said(run, prediction, top_k),
        "unknown": prediction.unknown,
        "why_unknown": list(prediction.why_unknown),
        "stranger": prediction.stranger,
        "is_stranger": prediction.is_stranger,
        "nearest": _nearest(run, prediction),
        "remark": remark,
    }


def _said(run: ServedRun, prediction: Prediction, top_k: int | None) -> dict[str, Any]:
    task = run.predictor.module.task
    if task == "regression":
        intervals = {name: {"low": low, "high": high} for name, (low, high) in prediction.intervals.items()}
        value = None if prediction.unknown else prediction.value
        return {
            "value": value,
            "values": prediction.values,
            "low": prediction.low,
            "high": prediction.high,
            "intervals": intervals,
        }
    listed = list(prediction.probabilities.items())[:top_k]
    said: dict[str, Any] = {
        "class": UNKNOWN if prediction.unknown else prediction.class_name,
        "probability": prediction.probability,
        "probabilities": [{"class": each, "probability": share} for each, share in listed],
        "set": prediction.answer_set,
    }
    if task == "multilabel":
        said["classes"] = [each for each in prediction.labels if each not in prediction.unknown_labels]
        said["unknown_classes"] = prediction.unknown_labels
    return said


def _nearest(run: ServedRun, prediction: Prediction) -> list[dict[str, Any]]:
    return [
        {
            **each._asdict(),
            "image": None if row is None else f"/nearest/{quote(run.name, safe='')}/{row}",
        }
        for each in prediction.nearest
        for row in [run.row_of(each.name)]
    ]
