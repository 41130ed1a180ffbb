"""`advise` measures, decides, says why, and writes a config that `fit` takes."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.conftest import Tlearn
from tests.helpers.python_runs import small_network
from tlearn.analysis.candidates import candidates
from tlearn.analysis.decision import Effect, Gain, Gains, decide, expected_time_s, logit, sigmoid
from tlearn.analysis.effects import EFFECTS, GAINS
from tlearn.analysis.learning_curve import CurvePoint, forecast, measure_curve
from tlearn.analysis.measurements import Measurements, choose_size, choose_tap
from tlearn.analysis.pilots import PilotResult
from tlearn.analysis.probe import Probe
from tlearn.analysis.similarity import logme
from tlearn.analysis.stage_probe import Labelled, StageProbe
from tlearn.commands.advise.text import price_line
from tlearn.training.module import TransferModule
from tlearn.training.strategies.head_solver import turn

NOTHING = Effect(0.0, 0.0, 0.0, 0.1)
NO_GAIN = Gains(Gain(0.0, 0.1), Gain(0.0, 0.1))


def advised(tlearn: Tlearn, *words: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    answer = tlearn("advise", *words)
    assert answer.code == 0, answer.err
    (found,) = Path("runs/advise").glob("*/version_0/advice.json")
    return answer.out, json.loads(found.read_text()), yaml.safe_load(Path("advised.yaml").read_text())


def test_whole_way(tlearn: Tlearn, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_network(monkeypatch)
    assert tlearn("fit", "-c", small, "--model.tap", "null").code == 0
    source = "runs/small/version_0/checkpoints/best.ckpt"
    words = ["-c", small, "--model.weights", source, "--data.classes", "[5, 6, 7]", "--image_sizes", "16,32"]
    out, found, config = advised(tlearn, *words, "--trainer.max_epochs", "3")
    *lines, price, following, race = out.splitlines()
    assert following == "next: tlearn fit advised.yaml"
    assert race.startswith(f"or a race of real runs that keeps the best: tlearn fit --config={small} --model.weights ")
    size = f"--model.image_size={found['facts']['size_px']}"
    assert race.endswith(f" --data.classes '[5, 6, 7]' --trainer.max_epochs 3 {size} --budget auto")
    assert re.fullmatch(
        r"(LP-FT|the solved head alone): [+-]\d+\.\d \[[+-]\d+\.\d, [+-]\d+\.\d\] points for .* s (more|less)", price
    )
    assert [line for line in [*lines, price, following] if len(line) > 80] == []
    measured, choice = found["facts"], found["advice"]["choice"]
    assert f"Advice: {choice['candidate']['name']} at {measured['size_px']} px" in " ".join(out.split())
    names = [each["candidate"]["name"] for each in found["advice"]["outlooks"]]
    assert names in (
        ["frozen", "tap", "partial", "lp_ft", "full", "scratch"],
        ["frozen", "partial", "lp_ft", "full", "scratch"],
    )
    assert {pilot["candidate"] for pilot in measured["pilots"]} == {"partial", "lp_ft", "full"}
    assert sorted(pilot["steps"] for pilot in measured["pilots"]) == [4, 8, 8]
    assert measured["steps"] == 9
    assert measured["labels_per_class"] == 8
    assert all(each["peak_memory_bytes"] > 1e8 for each in found["advice"]["outlooks"])
    assert [point["images"] for point in measured["forecast"]["points"]] == [6, 12, 24]
    assert set(measured["batch_norm_shift"]) == {"stem", "layer1", "layer2", "layer3", "layer4"}
    assert config["model"] == {
        "backbone": "resnet18",
        "weights": source,
        "image_size": measured["size_px"],
        **choice["candidate"]["options"],
    }
    assert config["data"]["init_args"]["classes"] == [5, 6, 7]
    header = Path("advised.yaml").read_text().split("\nseed_everything")[0]
    assert header.startswith("# tlearn fit advised.yaml\n#\n# Advice: ")
    log = EventAccumulator(str(tmp_path / "runs/advise/small/version_0")).Reload()
    scalars = log.Scalars("advise/score_over_images")
    assert [point.step for point in scalars] == [6, 12, 24]
    fitted = tlearn("fit", "-c", "advised.yaml")
    assert fitted.code == 0, fitted.err
    expected = f"advised; expected accuracy {100 * choice['score']:.1f}\N{NO-BREAK SPACE}% ["
    assert expected in (tmp_path / "runs/advised/version_0/report.html").read_text()
    assert tlearn("fit", "-c", "advised.yaml", "--model.image_size", "24").code == 0
    changed = "advised, then changed (model.image_size)"
    assert changed in (tmp_path / "runs/advised/version_1/report.html").read_text()


def test_no_weights(tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small_network(monkeypatch)
    out, found, config = advised(tlearn, "-c", small)
    assert [each["candidate"]["name"] for each in found["advice"]["outlooks"]] == ["frozen", "scratch"]
    assert "There are no weights to transfer from: model.weights is null." in " ".join(out.split())
    assert config["model"]["weights"] is None


def test_options_that_the_advice_does_not_decide_are_kept(
    tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Typed, in the config, or a default typed on purpose; trials are run with them too."""
    small_network(monkeypatch)
    tried: list[TransferModule] = []
    monkeypatch.setattr("tlearn.analysis.pilots.Pilot.go_on", lambda pilot, steps: tried.append(pilot._module))
    monkeypatch.setattr("tlearn.analysis.measurements.run_pilots", run_without_result)
    assert tlearn("fit", "-c", small, "--model.tap", "null", "--trainer.max_epochs", "1").code == 0
    Path("more.yaml").write_text(
        "model: {label_smoothing: 0.2, unfreeze_warmup_steps: 3}\ntrainer: {log_every_n_steps: 2}"
    )
    words = ["-c", small, "-c", "more.yaml", "--model.weights", "runs/small/version_0/checkpoints/best.ckpt"]
    words += ["--model.class_weights", "[1, 2, 3]", "--model.batch_norm=follows", "--model.feature_cache", "off"]
    words += ["--model.head_dropout", "0.5", "--model.lr_scales", "{backbone: 0.1}", "--trainer.gradient_clip_val", "1"]
    out, _, config = advised(tlearn, *words, "--model.warmup_steps", "2", "--trainer.max_epochs", "1")
    model = config["model"]
    assert (model["label_smoothing"], model["class_weights"], model["batch_norm"]) == (0.2, [1, 2, 3], "follows")
    assert (model["unfreeze_warmup_steps"], model["feature_cache"]) == (3, "off")
    assert (config["trainer"]["log_every_n_steps"], config["trainer"]["gradient_clip_val"]) == (2, 1)
    assert model.get("warmup_steps") == (None if "head_solver" in model else 2)
    assert "not as typed, for the advice decides it: model.head_dropout, model.lr_scales" in out
    assert "model.lr_scales" in Path("advised.yaml").read_text().split("\nseed_everything")[0]
    assert len(tried) == 3
    for made in tried:
        assert (made.objective.options.label_smoothing, made.backbone.batch_norm_follows) == (0.2, True)
        assert made.objective.class_weights is not None
        assert made.objective.class_weights.tolist() == [1, 2, 3]
    assert tlearn("fit", "-c", "advised.yaml").code == 0


def run_without_result(pilots: list[Any], steps: int, rounds: int) -> list[PilotResult]:
    for pilot in pilots:
        pilot.go_on(steps)
    return [pilot_of(pilot.candidate.name, 1.0) for pilot in pilots]


def test_values(tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small_network(monkeypatch)
    words = ["--data.task", "regression", "--data.classes", "null", "--data.train_per_class", "null"]
    words += ["--data.val_fraction", "0.9", "--trainer.max_epochs", "1"]
    out, found, config = advised(tlearn, "-c", small, *words)
    assert found["facts"]["probe"]["score"] == "R2"
    assert "expected R2 at 16 px" in out
    if "head_solver" in config["model"]:
        assert config["model"]["head_solver"] == "ridge"
    assert tlearn("fit", "-c", "advised.yaml").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--trainer.max_epochs", "-1"], "advise needs trainer.max_epochs of at least 1, got -1"),
        (["--image_sizes", "0"], "--image_sizes expects different sides in pixels such as 32,64,128, got '0'"),
        (["--out", "nowhere/advised.yaml"], "nowhere"),
        (["--ckpt_path", "best"], "this looks at a network before it is trained"),
        (
            ["--data.train_per_class", "1"],
            "classes with fewer than 2 images left to train on, of which nothing can be told: 0 1, 1 1, 2 1",
        ),
        (["--data.classes", "[1]"], "expected 2 or more different classes"),
    ],
)
def test_refused(tlearn: Tlearn, small: str, tmp_path: Path, words: list[str], said: str) -> None:
    answer = tlearn("advise", "-c", small, *words)
    assert answer.code == 2
    assert said in answer.err
    assert answer.remarks.count("\n") == 1
    assert not (tmp_path / "advised.yaml").exists()


def probe_of(stage: str, ridge: float, left_out: float, size_px: int = 32) -> StageProbe:
    return StageProbe(stage, size_px, 512, ridge, 0.1, left_out, ridge)


def measured_of(
    last: StageProbe, best: StageProbe, pilots: list[PilotResult], random_score: float | None = 0.3
) -> Measurements:
    stages = [best, last] if best != last else [last]
    every = ("stem", "layer1", "layer2", "layer3", "layer4")
    taps = list(every) if best.stage == "all" else [best.stage]
    found = Probe("accuracy", 400, 100, stages, best, taps, 0, 0, {32: 2.0}, 3.0)
    named = candidates("classification", every, taps, every, 10)
    costs = {"start_s": 1.0, "solve_time_s": 0.5, "time_s": 9.0}
    about = {"task": "classification", "num_outputs": 4, "labels_per_class": 100, "epochs": 10, "steps": 130}
    start = best if best.stage == "all" else last
    seen = {"probe": found, "size_px": 32, "last": last, "best": best, "taps": taps, "neighbours_gap": 0.0}
    seen["start"] = start
    more: dict[str, Any] = {"random_score": random_score, "logme": 0.0, "batch_norm_shift": {}, "forecast": None}
    return Measurements(**about, **seen, **more, **costs, frozen_val_loss=0.8, pilots=pilots, candidates=named)  # type: ignore[arg-type]


def pilot_of(name: str, val_loss: float, step_time_s: float = 0.1) -> PilotResult:
    return PilotResult(name, 20, step_time_s, 0.8, val_loss, 10**9)


PILOTS = [pilot_of("lp_ft", 0.6), pilot_of("partial", 0.7, 0.05), pilot_of("full", 1.5)]
LAST = probe_of("layer4", 0.75, 0.80)


def test_the_cheaper_is_advised_within_the_noise_and_the_dearer_named_with_its_price() -> None:
    effects = dict.fromkeys(EFFECTS, NOTHING)
    others = [pilot_of("partial", 0.7, 0.05), pilot_of("full", 1.5)]
    for val_loss, chosen in ((0.6, "lp_ft"), (0.83, "lp_ft"), (0.84, "tap")):  # the head alone: 0.8
        measured = measured_of(LAST, probe_of("all", 0.85, 0.86), [pilot_of("lp_ft", val_loss), *others])
        advice = decide(measured, effects, GAINS)
        assert advice.choice.candidate.name == chosen
        assert ("kept the loss" in advice.reason) == (chosen == "lp_ft")
        assert advice.price is not None
        sign = 1 if chosen == "tap" else -1  # of what is named beside the choice
        gain = GAINS.raised if chosen == "tap" else GAINS.kept
        worth = [sigmoid(logit(0.858) + gain.mean + 1.645 * k * gain.deviation) - 0.858 for k in (-1, 0, 1)]
        assert advice.price.gain == pytest.approx(sign * worth[1])
        assert [advice.price.low, advice.price.high] == pytest.approx(sorted((sign * worth[0], sign * worth[2])))
        assert advice.price.time_s == pytest.approx(sign * (130 * 0.1 + 10 * 2.0 * 100 / 500))
    assert advice.price is not None
    assert price_line(advice.price) == "LP-FT: -1.4 [-7.3, +3.1] points for 17 s more"
    assert "LP-FT) is expected to bring -1.4 [-7.3, +3.1] points: within a point" in advice.reason
    measured = measured_of(LAST, LAST, [pilot_of("lp_ft", 2.0), *others])
    assert decide(measured, effects, GAINS).choice.candidate.name == "frozen"


def test_training_has_to_bring_a_point_and_more_than_the_noise_of_its_forecast() -> None:
    effects = dict.fromkeys(EFFECTS, NOTHING)

    def chosen(head: float, gain: Gain) -> str:
        measured = measured_of(LAST, probe_of("all", head, head), PILOTS)
        return decide(measured, effects, Gains(gain, gain)).choice.candidate.name

    assert chosen(0.85, Gain(0.133, 0.116)) == "lp_ft"  # 1.6 points
    assert chosen(0.85, Gain(0.133, 0.14)) == "tap"  # less than one standard error
    assert chosen(0.95, Gain(0.133, 0.116)) == "tap"  # 0.6 points


def test_cheapest_within_the_noise_where_no_head_is_solved() -> None:
    """With several labels an image; what was first in the table was advised for a hair's breadth before."""
    for gain, chosen in ((0.05, "frozen"), (0.5, "partial"), (-0.5, "frozen")):
        measured = replace(measured_of(LAST, LAST, PILOTS), task="multilabel", frozen_val_loss=None)
        named = candidates("multilabel", ("stem", "layer1", "layer2"), ["layer2"], ["layer2"], 10)
        effects = dict.fromkeys(EFFECTS, NOTHING) | {"partial": Effect(gain, 0.0, 0.0, 0.1)}
        advice = decide(replace(measured, candidates=named), effects, GAINS)
        assert advice.choice.candidate.name == chosen
        assert advice.price is None


def test_training_begins_where_the_head_was_solved() -> None:
    measured = measured_of(LAST, probe_of("all", 0.85, 0.86), PILOTS)
    outlooks = {
        each.candidate.name: each for each in decide(measured, dict.fromkeys(EFFECTS, NOTHING), NO_GAIN).outlooks
    }
    assert outlooks["frozen"].score == pytest.approx(0.79)
    assert outlooks["tap"].score == outlooks["lp_ft"].score == pytest.approx(0.858)
    assert outlooks["lp_ft"].candidate.options["tap"] == ["stem", "layer1", "layer2", "layer3", "layer4"]


def test_single_stage_must_win_by_more_than_noise() -> None:
    together = probe_of("all", 0.80, 0.80)
    found = Probe("accuracy", 400, 100, [], together, [], 0, 0, {}, 0.0)
    for score, chosen in ((0.81, "all"), (0.83, "layer3")):
        assert choose_tap([LAST, probe_of("layer3", score, score), together], found).stage == chosen
    assert choose_tap([LAST, probe_of("layer3", 0.81, 0.81)], found).stage == "layer3"  # all are too wide


def test_effects_are_added() -> None:
    measured = measured_of(LAST, LAST, PILOTS)
    effects = dict.fromkeys(EFFECTS, NOTHING) | {"partial": Effect(0.1, 0.2, 0.5, 0.3)}
    outlook = next(each for each in decide(measured, effects, GAINS).outlooks if each.candidate.name == "partial")
    middle = logit(0.79) + 0.1 + 0.2 * math.log2(100 / 50) + 0.5 * (0.8 - 0.7)
    assert outlook.score == pytest.approx(sigmoid(middle))
    spread = 1.645 * math.hypot(0.3, (0.79 * 0.21 * 500) ** -0.5)
    assert (outlook.low, outlook.high) == pytest.approx((sigmoid(middle - spread), sigmoid(middle + spread)))


def test_scratch_starts_from_random_features() -> None:
    measured = measured_of(LAST, LAST, PILOTS, random_score=0.9)
    outlooks = {
        each.candidate.name: each for each in decide(measured, dict.fromkeys(EFFECTS, NOTHING), NO_GAIN).outlooks
    }
    assert outlooks["scratch"].score == pytest.approx(0.9)


def test_single_stage_is_offered_where_it_is_best() -> None:
    measured = measured_of(LAST, probe_of("layer2", 0.85, 0.86), PILOTS)
    advice = decide(measured, dict.fromkeys(EFFECTS, NOTHING), NO_GAIN)
    assert advice.choice.candidate.name == "tap"
    assert advice.choice.candidate.options["tap"] == "layer2"
    assert advice.reason.startswith("A head on layer2 beats one on all stages side by side beyond the noise")


def test_times_are_sums_of_what_was_timed() -> None:
    measured = measured_of(LAST, LAST, PILOTS)
    times = {each.name: expected_time_s(measured, each) for each in measured.candidates}
    validation = 10 * 2.0 * 100 / 500
    assert times["frozen"] == pytest.approx(1 + 2 + 0.5)
    assert times["lp_ft"] == pytest.approx(1 + 2 + 0.5 + 130 * 0.1 + validation)
    assert times["partial"] == pytest.approx(1 + 2 + 0.5 + 130 * 0.05 + validation)
    assert times["full"] == times["scratch"] == pytest.approx(1 + 130 * 0.1 + validation)


def test_smallest_size_within_noise() -> None:
    stages = [probe_of("layer4", score, score, size) for size, score in ((32, 0.5), (64, 0.79), (128, 0.80))]
    found = Probe("accuracy", 400, 100, stages, stages[2], ["layer4"], 0, 0, {32: 1.0, 64: 2.0, 128: 8.0}, 3.0)
    assert choose_size(found) == 64
    assert choose_size(replace(found, train_images=40_000, val_images=10_000)) == 128


def test_forecast_finds_the_law() -> None:
    points = [CurvePoint(n, 0.9 * n**-0.3 + 0.05, 0.001) for n in (50, 100, 200, 400)]
    found = forecast(points)
    assert found is not None
    truth = 0.9 * (400**-0.3 - 800**-0.3)
    assert found.gain == pytest.approx(truth, abs=0.002)
    assert found.low < truth < found.high
    assert not found.is_flat
    flat = forecast([CurvePoint(n, 0.2, 0.01) for n in (50, 100, 200, 400)])
    assert flat is not None
    assert flat.is_flat
    assert forecast(points[:2]) is None


def test_curve_falls_with_more_images() -> None:
    random = torch.Generator().manual_seed(0)
    centres = torch.randn(3, 20, generator=random)
    targets = torch.arange(240) % 3
    features = centres[targets] + 2 * torch.randn(240, 20, generator=random)
    points = measure_curve(
        "classification", Labelled(features[:160], targets[:160]), Labelled(features[160:], targets[160:]), 3, 0.1
    )
    assert [point.images for point in points] == [20, 40, 80, 160]
    assert points[0].error > points[-1].error
    assert all(0 < point.deviation < 0.1 for point in points)


def test_logme_is_the_largest_evidence() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(30, 6))
    wanted = rows @ random.normal(size=6) + 0.5 * random.normal(size=30)
    turned = turn(torch.from_numpy(rows).float(), torch.ones(30))
    centred = (rows - rows.mean(axis=0)) / float(turned.scale)
    evidences = []
    for alpha in np.logspace(-3, 3, 61):
        for beta in np.logspace(-3, 3, 61):
            covariance = np.eye(30) / beta + centred @ centred.T / alpha
            _, logdet = np.linalg.slogdet(2 * np.pi * covariance)
            evidences.append(-0.5 * (logdet + wanted @ np.linalg.solve(covariance, wanted)) / 30)
    found = logme(turned, torch.from_numpy(wanted).float()[:, None])
    assert 0 <= found - max(evidences) < 5e-3  # the grid is coarse
