"""The sentences of a card, the same in ``card.md`` and ``report.html``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlearn.base.next_command import next_command
from tlearn.models.calibration import CalibratedOn, calibrated_words, calibration_in, calibration_words
from tlearn.models.distillation.defaults import SHARE, TEMPERATURE
from tlearn.reporting.card.format import NOT_KNOWN, part


def title(card: Mapping[str, Any]) -> str:
    """Return the name of the run: ``finetune, version 0``."""
    version = card.get("version")
    return str(card.get("name") or "run") + (f", version {version}" if version is not None else "")


def status_words(card: Mapping[str, Any]) -> str:
    """Say how the run ended, by which rule, and after how many of the planned epochs."""
    status, epochs = str(card.get("status") or "how it ended is not known"), part(card, "epochs")
    done, planned = epochs.get("done"), epochs.get("planned")
    of = "" if done is None else f" after {done} of {planned} epochs" if planned else f" after {_epochs(done)}"
    if status == "tested":
        return "tested; no training took place in this folder"
    if status == "finished" and done and done == planned:
        return f"finished after {_epochs(done)}"
    saved = "" if epochs.get("saved") is None else f", of which last.ckpt holds {epochs['saved']}"
    return status.partition(":")[0] + of + saved + _rule(part(card, "ended"))


def _rule(ended: Mapping[str, Any]) -> str:
    """Name the rule that ended a run before its last epoch; `alert` reports an error."""
    if not ended.get("words") or ended.get("by") == "fault":
        return ""
    return f" by {ended['words']} (epoch {ended.get('epoch')}, step {ended.get('step')})"


def alert(card: Mapping[str, Any]) -> str:
    """Say first that a run was interrupted or failed; empty if it was finished."""
    status = str(card.get("status") or "")
    if status == "interrupted":
        return f"This run was {status_words(card)}. What follows is what there was by then."
    if status.startswith("failed"):
        reason = status.partition(":")[2].strip() or NOT_KNOWN
        return f"This run {status_words(card)}: {reason.rstrip('.')}. What follows is what there was by then."
    return ""


def pixel_facts(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and values of the pixels of a network for another number of channels than three; else nothing."""
    pixels = part(card, "pixels")
    if not pixels:
        return []
    lists = [(name, " ".join(f"{value:.4g}" for value in pixels.get(name) or ())) for name in ("mean", "std")]
    told = [(f"{name} of pixels from 0 to 1".capitalize(), values) for name, values in lists]
    return [("Channels", str(pixels.get("channels"))), *told]


def calibrated(card: Mapping[str, Any]) -> str:
    """Say how probabilities are calibrated and on what: ``on 71 validation images: temperature 1.20``."""
    if card.get("temperature") is None:
        return ""
    found, on = calibration_in(card), part(card, "calibrated_on")
    return calibrated_words(found, CalibratedOn(**on)) if on else calibration_words(found)


def range_words(card: Mapping[str, Any]) -> str:
    """Say what becomes black and white in files of more than 8 bits; empty where nothing was learned."""
    ranges = part(part(card, "data"), "ranges")
    told = {kind: [f"{each:,}" if isinstance(each, int) else f"{each:.6g}" for each in ranges[kind]] for kind in ranges}
    return "; ".join(f"{kind} {low} to {high}" for kind, (low, high) in told.items())


def what_it_did(card: Mapping[str, Any]) -> str:
    """Say in one sentence which network learned what, and from how many images."""
    model, splits = part(card, "model"), part(part(card, "data"), "splits")
    network = str(model.get("backbone") or "A network")
    if card.get("status") == "tested":
        return f"{network} was tested on {_images(splits, 'test')}."
    if model.get("ensemble"):
        count = part(card, "parameters").get("frozen")
        size = f" of {count:,} parameters together" if count else ""
        return (
            f"An {network}{size} answers with the average of its members, which had learned {_aim(card)} before; "
            "nothing was trained here, they were calibrated together."
        )
    weights = model.get("weights")
    start = f", starting from the weights {weights}," if weights else ", starting from random weights,"
    text = f"{network}{start if 'weights' in model else ''} learned {_aim(card)} from {_images(splits, 'train')}"
    solver = model.get("head_solver")
    text += _parameters(card) + (f", the head solved by {solver}." if solver not in (None, "sgd") else ".")
    return text + _teacher_words(model, str(card.get("task")))


def _teacher_words(model: Mapping[str, Any], task: str) -> str:
    """Say whose answers were learned beside the labels, and how; empty where nobody taught."""
    teacher = model.get("distill_from")
    if not teacher:
        return ""
    how = f"{float(model.get('distill_weight', SHARE)):.0%} of the loss"
    if task != "regression":
        how += f", temperature {float(model.get('distill_temperature', TEMPERATURE)):g}"
    return f" It was taught by {teacher}, whose answers it learned beside the labels ({how}); it answers without it."


def _parameters(card: Mapping[str, Any]) -> str:
    """Say how many parameters trained, how many were frozen, and what else the network has; empty if not known."""
    counts = part(card, "parameters")
    trainable, frozen, behind = (counts.get(key) for key in ("trainable", "frozen", "behind_tap"))
    if trainable is None or frozen is None:
        return ""
    idle = sum(stage.get("left_out") or 0 for stage in card.get("stages") or [])
    text = f"; {trainable:,} of its {trainable + frozen + idle:,} parameters trained, {frozen:,} were frozen"
    text += f", {idle:,} only multiply zero padding at this image size" if idle else ""
    return text + (f", and {behind:,} more behind the tap are not used" if behind else "")


def audit_words(card: Mapping[str, Any]) -> str:
    """Say what the freeze audit compared, and its result."""
    audit = part(card, "audit")
    if not audit.get("frozen_tensors"):
        return "Nothing was frozen, so there was nothing to audit." if audit else "No audit is on record."
    result = str(audit.get("result") or NOT_KNOWN)
    exactly = ", to the last bit" if result == "unchanged" else ""
    epochs = _epochs(audit.get("epochs_checked") or 0)
    return f"{audit['frozen_tensors']:,} frozen tensors were compared before and after {epochs}: {result}{exactly}."


def doctor_words(card: Mapping[str, Any]) -> str:
    """Return the doctor's note, above all why there are no findings."""
    doctor = part(card, "doctor")
    note = str(doctor.get("note") or "").rstrip(".")
    if doctor.get("findings"):
        return f"{note[:1].upper()}{note[1:]}." if note else ""
    return f"No findings: {note}." if note else "No findings." if doctor else "It has not looked."


def predict_command(card: Mapping[str, Any]) -> str | None:
    """Return the command that uses the result; ``None`` without a checkpoint."""
    inside = part(card, "best").get("checkpoint") or part(card, "test").get("checkpoint")
    return next_command(Path(str(card.get("folder") or ""), str(inside)), pictures=True) if inside else None


def _epochs(number: int) -> str:
    return f"{number} epoch" + ("" if number == 1 else "s")


def _aim(card: Mapping[str, Any]) -> str:
    if card.get("task") == "regression":
        columns = len(card.get("class_names") or [])
        return f"to estimate {columns} values" if columns > 1 else "to estimate a value"
    kind = "labels, any number to a picture," if card.get("task") == "multilabel" else "classes"
    return f"{len(card.get('class_names') or []) or 'its'} {kind}"


def _images(splits: Mapping[str, Any], split: str) -> str:
    images = part(splits, split).get("images")
    return f"{images:,} {'test ' if split == 'test' else ''}images" if images is not None else "images"
