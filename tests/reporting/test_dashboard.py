"""What TensorBoard shows of a run, asked of `make dashboard` itself through the addresses that its pages ask."""

from __future__ import annotations

import io
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import ProxyHandler, build_opener

import numpy as np
import pytest
import torch
from matplotlib.text import Text
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from tests.helpers.dashboard_server import REPOSITORY, RUN, Dashboard, eventually, fit_and_test, make_dashboard
from tlearn.models.calibration import Calibration
from tlearn.reporting.evaluation import answers_from, verdict
from tlearn.reporting.figures import confusion_figure, gallery_figure, per_class_figure, reliability_figure
from tlearn.reporting.pictures import caption
from tlearn.training.evaluation import Outputs

CLASSES = ("0", "1", "2")
VAL_IMAGES = 21
LONG_EPOCHS = 20  # of which TensorBoard by itself would drop ten at random
# Three epochs of three steps: where each kind of tag has a point.
EPOCHS = [2, 5, 8]
STEPS = [1, 3, 5, 7]  # every second, as it was asked
TESTED = [8]  # of last.ckpt; at step 0 the curves of the epochs would be dropped


def _at(steps: list[int], *tags: str) -> dict[str, list[int]]:
    return dict.fromkeys(tags, steps)


SCALARS = {
    **_at(EPOCHS, "train/loss", "train/acc", "train/images_per_s"),
    **_at(
        EPOCHS,
        "val/loss",
        "val/acc",
        "val/acc_macro",
        "val/ece",
        "val/ece_scaled",
        "val/temperature",
        "val/uniform_share",
    ),
    **_at(STEPS, "train/loss_step", "train/grad_norm"),
    **_at([0, 1, 3, 5, 6, 7], "lr-SGD/rest"),  # at each epoch's first step too
    **_at([0], "val_best/acc"),
}
TEST_RUN = f"{RUN}/test"
TEST_SCALARS = _at(TESTED, "test/loss", "test/acc", "test/acc_macro", "test/ece", "test/ece_scaled")
IMAGES = {
    **_at([0], "data/train", "data/val"),
    **_at(EPOCHS, "val/confusion_matrix", "val/per_class", "val/worst_mistakes", "val/reliability", "val/grad_cam"),
}
TEST_IMAGES = _at(TESTED, "test/confusion_matrix", "test/per_class", "test/worst_mistakes", "test/reliability")
SHOWN_PX = 350  # the width of every picture on TensorBoard's page of images
# Of each class's curve the steps, and how many images of the class there are.
CURVES = {f"val/pr/{name}": (EPOCHS, 7) for name in CLASSES}
TEST_CURVES = {f"test/pr/{name}": (TESTED, images) for name, images in zip(CLASSES, (36, 36, 35), strict=True)}
TEXTS = {"run/parameters", "run/freeze_plan", "run/data", "run/card"}
SETTINGS = {"lr": 0.01, "optimizer": "SGD", "freeze_backbone": False, "image_size": "none"}
SETTINGS |= {"batch_size": "8", "seed": "0"}  # a number would be shown as 8.0000
RESULTS = {"val_best/acc", "train/loss", "val/loss", "val/acc", "val/ece"}


pytestmark = pytest.mark.xdist_group("dashboard")  # one port, one run


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """`make dashboard` over a run that was fitted and tested; port 6006, where it would be, is taken."""
    folder = tmp_path_factory.mktemp("dashboard")
    fit_and_test(folder)
    _write_long_run(folder / "runs/long")
    with closing(socket.socket()) as taken:
        with suppress(OSError):  # somebody has it already: as good
            taken.bind(("127.0.0.1", 6006))
            taken.listen()
        with make_dashboard(folder / "runs") as running:
            eventually(lambda: _is_read(running))
            yield running


def _write_long_run(folder: Path) -> None:
    with SummaryWriter(str(folder)) as writer:
        for epoch in range(LONG_EPOCHS):
            writer.add_image("val/confusion_matrix", np.zeros((3, 8, 8), dtype=np.uint8), epoch)


def _is_read(running: Dashboard) -> None:
    """Assert that TensorBoard has got to the end of the files, which is where the test's scalars stand."""
    assert "test/acc" in running.ask("scalars/tags").get(TEST_RUN, {})


def points(dashboard: Dashboard, plugin: str, tag: str) -> list[Any]:
    run = TEST_RUN if tag.startswith("test/") else RUN
    return list(dashboard.ask(f"{plugin}/{plugin}", run=run, tag=tag))


def test_says_its_true_address(dashboard: Dashboard) -> None:
    said = dashboard.log.read_text()
    assert re.fullmatch(rf"TensorBoard \S+ at {dashboard.url}/ \(Press CTRL\+C to quit\)\n", said)
    port = int(dashboard.url.rpartition(":")[2])
    assert 6006 < port < 6016
    assert dashboard.url == f"http://127.0.0.1:{port}"
    with closing(socket.socket()) as elsewhere, pytest.raises(ConnectionRefusedError):
        elsewhere.connect(("127.0.0.2", port))  # this machine too, where a server for all addresses would answer


@pytest.mark.parametrize("tag", SCALARS | TEST_SCALARS)
def test_scalars(dashboard: Dashboard, tag: str) -> None:
    found = points(dashboard, "scalars", tag)
    assert [step for _, step, _ in found] == (SCALARS | TEST_SCALARS)[tag]
    assert all(np.isfinite(value) for _, _, value in found)


def test_what_test_logs_is_a_run_of_its_own(dashboard: Dashboard) -> None:
    tags = dashboard.ask("scalars/tags")
    assert set(tags[RUN]) == {*SCALARS, "epoch"}
    assert set(tags[TEST_RUN]) == {*TEST_SCALARS, "epoch"}


def test_no_single_dot_comes_before_the_curves(dashboard: Dashboard) -> None:
    groups = sorted({tag.partition("/")[0] for tag in SCALARS})
    dots = [group for group in groups if all(len(SCALARS[tag]) == 1 for tag in SCALARS if tag.startswith(f"{group}/"))]
    assert dots == groups[-1:] == ["val_best"]


def test_the_first_page_begins_with_the_validation_curves(dashboard: Dashboard) -> None:
    with build_opener(ProxyHandler({})).open(f"{dashboard.url}/") as page:
        asked, shown = parse_qs(urlsplit(page.url).query), page.read()
    assert [card["tag"] for card in json.loads(asked["pinnedCards"][0])] == ["val/acc", "val/f1", "val/mae", "val/loss"]
    assert asked["smoothing"] == ["0"]
    assert b"<title>TensorBoard" in shown


@pytest.mark.parametrize("tag", IMAGES | TEST_IMAGES)
def test_images(dashboard: Dashboard, tag: str) -> None:
    found = points(dashboard, "images", tag)
    assert [point["step"] for point in found] == (IMAGES | TEST_IMAGES)[tag]
    for point in found:
        with Image.open(io.BytesIO(dashboard.read(f"images/individualImage?{point['query']}&"))) as picture:
            picture.load()
            assert picture.width == 2 * SHOWN_PX  # its letters are as high as those of the next test
            assert 240 <= picture.height <= 2000
            assert picture.convert("L").getextrema() != (0, 0)


def test_keeps_the_pictures_of_every_epoch(dashboard: Dashboard) -> None:
    def check() -> None:
        assert "long" in dashboard.ask("images/tags")

    eventually(check)
    found = dashboard.ask("images/images", run="long", tag="val/confusion_matrix")
    assert [point["step"] for point in found] == list(range(LONG_EPOCHS))


def test_no_other_image(dashboard: Dashboard) -> None:
    assert set(dashboard.ask("images/tags")[RUN]) == set(IMAGES)
    assert set(dashboard.ask("images/tags")[TEST_RUN]) == set(TEST_IMAGES)


def test_letters_are_fourteen_pixels_high_as_tensorboard_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["ants", "bees", "a name that is much longer than a picture is wide"]
    logits = torch.eye(3).repeat(8, 1)
    answers = answers_from(
        "classification", names, Outputs("val", 1, logits, torch.arange(24) % 2, torch.arange(24)), Calibration(1.5)
    )
    heights_px = []
    draw = Text.draw

    def noted(text: Text, renderer: Any) -> None:
        if text.get_visible() and text.get_text():
            figure = text.get_figure()
            assert figure is not None
            heights_px.append(float(text.get_fontsize()) / 72 * figure.dpi * SHOWN_PX / figure.bbox.width)
        draw(text, renderer)

    monkeypatch.setattr(Text, "draw", noted)
    pictures = torch.zeros(4, 3, 20, 30, dtype=torch.uint8)
    captions = [caption(verdict(answers, position)) for position in range(4)]
    gallery_figure(pictures, captions, "worst mistakes")
    for figure in (confusion_figure, per_class_figure, reliability_figure):
        figure(answers)
    assert len(heights_px) > 40
    assert min(heights_px) >= 14


def test_pr_curves(dashboard: Dashboard) -> None:
    assert set(dashboard.ask("pr_curves/tags")[RUN]) == set(CURVES)
    assert set(dashboard.ask("pr_curves/tags")[TEST_RUN]) == set(TEST_CURVES)
    for tag, (steps, images) in (CURVES | TEST_CURVES).items():
        run = TEST_RUN if tag in TEST_CURVES else RUN
        curves = dashboard.ask("pr_curves/pr_curves", run=run, tag=tag)[run]
        assert [curve["step"] for curve in curves] == steps
        assert {curve["true_positives"][0] + curve["false_negatives"][0] for curve in curves} == {images}
        assert all(0 <= value <= 1 for curve in curves for value in curve["precision"] + curve["recall"])


def test_projector(dashboard: Dashboard) -> None:
    assert dashboard.ask("projector/runs") == [RUN]
    (about,) = dashboard.ask("projector/info", run=RUN)["embeddings"]
    count, features = about["tensorShape"]
    assert (count, features) == (VAL_IMAGES, 64)  # the tap is layer1
    asked = {"run": RUN, "name": about["tensorName"]}
    assert "val_features" in about["tensorName"]
    values = np.frombuffer(dashboard.read("projector/tensor", **asked), dtype="<f4").reshape(count, features)
    assert np.isfinite(values).all()
    assert values.std() > 0
    labels = dashboard.read("projector/metadata", **asked).decode().split("\n")
    assert sorted(label for label in labels if label) == sorted(CLASSES * (VAL_IMAGES // 3))
    wide, high = about["sprite"]["singleImageDim"]
    with Image.open(io.BytesIO(dashboard.read("projector/sprite_image", **asked))) as sprite:
        columns, rows = sprite.width // wide, sprite.height // high
        corners = [sprite.convert("RGB").getpixel((n % columns * wide, n // columns * high)) for n in range(count)]
    assert columns * rows >= count
    frames = set(zip([label for label in labels if label], corners, strict=True))
    assert len(frames) == len({colour for _, colour in frames}) == len(CLASSES)  # a colour for each class, at once


def test_hparams(dashboard: Dashboard) -> None:
    about = dashboard.ask("hparams/experiment", body={})
    assert {info["name"] for info in about["hparamInfos"]} >= set(SETTINGS)
    wanted = {"startIndex": 0, "sliceSize": 10, "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS"]}
    (group,) = dashboard.ask("hparams/session_groups", body=wanted)["sessionGroups"]
    assert {name: group["hparams"][name] for name in SETTINGS} == SETTINGS
    assert group["hparams"]["freeze_backbone"] is False
    metrics = {metric["name"]["tag"]: metric["value"] for metric in group["metricValues"]}
    assert set(metrics) == RESULTS
    assert metrics["val_best/acc"] == max(value for _, _, value in points(dashboard, "scalars", "val/acc"))
    assert metrics["val/loss"] == points(dashboard, "scalars", "val/loss")[-1][2]


def test_texts(dashboard: Dashboard) -> None:
    tags = dashboard.ask("text/tags")[RUN]
    assert {tag.removesuffix("/text_summary") for tag in tags} == TEXTS
    for tag in tags:
        ((point),) = points(dashboard, "text", tag)
        assert "<" in point["text"]


def test_ends_quietly_on_ctrl_c_and_needs_no_runs(tmp_path: Path) -> None:
    with make_dashboard(tmp_path / "none") as running:
        assert running.ask("scalars/tags") == {}
        running.interrupt()
        first, *others = running.log.read_text().splitlines()
    assert first == f"no {tmp_path}/none/ here yet; runs appear as soon as there are some"
    assert len(others) == 1, others


def test_a_port_of_ones_own_is_that_or_none(tmp_path: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = ["-o", f"{sys.prefix}/.installed", f"VENV={sys.prefix}", f"RUNS={tmp_path}", f"PORT={port}"]
        done = subprocess.run(["make", *words, "dashboard"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode != 0
    said, end = done.stderr.splitlines()
    assert said == f"ERROR: TensorBoard could not bind to port {port}, it was already in use"
    assert re.match(r"make(\[\d+\])?: \*\*\*", end)  # `make test` calls these tests, and then this make is an inner one
