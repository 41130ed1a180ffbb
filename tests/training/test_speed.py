"""What makes runs fast changes nothing: threads, batch sizes, folded networks, data on the device."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.conftest import Tlearn
from tests.helpers.runs import events, last, newest
from tlearn import DigitsDataModule, TransferModule
from tlearn.base import machine as threads
from tlearn.base.machine import FreeThreads, Neighbours, cores_allowed, free_threads
from tlearn.base.types import Batch
from tlearn.data.images.augment import Augment, BatchAugment
from tlearn.data.images.image_set import BatchKey
from tlearn.data.images.in_memory import CachedFeatures
from tlearn.models.backbones.folding import folded
from tlearn.training.strategies.features import BatchSizeTuner


def lively(network: nn.Module) -> nn.Module:
    """The network with BatchNorm statistics that differ from the identity, in eval mode."""
    generator = torch.Generator().manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_(0, 0.2, generator=generator)
            part.running_var.uniform_(0.5, 1.5, generator=generator)
    return network.eval()


def pictures(side: int) -> Tensor:
    return torch.randn(8, 3, side, side, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_a_twin_gives_the_features_of_the_network() -> None:
    network = lively(TransferModule(10, weights=None).backbone)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    wanted = network(pictures(32))
    twin = folded(network, pictures(32), None)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in twin.modules())
    assert torch.allclose(twin(pictures(32)), wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    half = folded(network, pictures(32), torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        distance = (half(pictures(32)).float() - wanted).norm() / wanted.norm()
        assert distance < 2 * (network(pictures(32)).float() - wanted).norm() / wanted.norm()
    assert half.get_submodule("layer1.0.conv1").weight.dtype == torch.bfloat16


class Shared(nn.Module):
    """A network that uses what a convolution gives beside its BatchNorm too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        return torch.cat([maps, self.norm(maps)], dim=1)


@torch.no_grad()
def test_a_network_that_cannot_be_folded_stays_right() -> None:
    network = lively(Shared())
    answers = folded(network, pictures(8), None)(pictures(8))  # channels last: other last bits on some processors
    torch.testing.assert_close(answers, network(pictures(8)), rtol=1e-5, atol=1e-6)


def test_other_weights_are_noticed() -> None:
    module = TransferModule(3, weights=None, tap="layer1", freeze_backbone=True).eval()
    module.setup("test")
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    with torch.no_grad():
        first = module.features(images)
        module.load_state_dict({name: value * 1.5 for name, value in module.state_dict().items()})
        assert not torch.allclose(module.features(images), first)
        module.teardown("test")
        assert torch.allclose(module.features(images), module.backbone(module.preprocess(images)))


def test_frozen_accuracy_is_the_same_from_cache_images_and_checkpoint(
    tlearn: Tlearn, small: str, tmp_path: Path
) -> None:
    words = ["fit", "-c", small, "--model.freeze_backbone", "true", "--trainer.precision", "bf16-mixed"]
    assert tlearn(*words).code == 0
    assert tlearn(*words, "--model.feature_cache", "off").code == 0
    cached, live = (last(tmp_path, version)["state_dict"]["head.weight"] for version in (0, 1))
    assert torch.allclose(cached, live, rtol=0, atol=1e-3)  # bf16: batches of another size round otherwise
    promised = [newest(events(tmp_path, 0), tag) for tag in ("val/loss", "val/acc")]
    checkpoint = "runs/small/version_0/checkpoints/last.ckpt"
    assert tlearn("validate", "--ckpt_path", checkpoint, "--trainer.precision", "bf16-mixed").code == 0
    kept = [newest(events(tmp_path, 0), tag) for tag in ("val/loss", "val/acc")]
    assert kept == pytest.approx(promised, abs=1e-3)


def test_nothing_in_a_step_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the meta device there are no values: whoever asks for one, as ``.item()`` does, is told so."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # knows no meta device
    meta = torch.device("meta")
    data = DigitsDataModule(classes=[0, 1, 2], augment=Augment(flip=True, crop_padding_px=2), size_px=16)
    data.setup("fit")
    train = data.dataset("train")
    there = train.on(meta, BatchAugment(data.augment, 3, seed=0))
    module = TransferModule(3, weights=None, tap="layer1").to(meta)
    for epoch in range(2):
        batch = there[BatchKey(epoch, torch.arange(8))]
        assert batch.images.device == batch.targets.device == meta
        assert module.training_step(Batch(batch.images, batch.targets, batch.indices.to(meta)), 0).device == meta
    views = [torch.zeros(len(train), 64, device=meta) for _ in range(3)]
    served = CachedFeatures(views, there, seed=0)[BatchKey(0, torch.arange(8))]
    assert served.images.device == meta
    assert module.training_step(Batch(served.images, served.targets, served.indices.to(meta)), 0).device == meta


def test_batch_sizes_are_tried_and_the_fastest_is_kept() -> None:
    time_s = {8: 0.8, 16: 1.0, 32: 3.8, 5: 0.4}  # 0.1, 0.06, 0.12 s an image
    tuner, tried = BatchSizeTuner(16, images=197, tries=True), list[int]()
    while sum(tried) < 197:
        tried.append(tuner.next)
        tuner.note(tuner.next, time_s[tuner.next])
    assert tried == [16, 16, 32, 32, 8, 8, 16, 16, 16, 16, 16, 5]  # the rest is one batch whatever was chosen
    alone = BatchSizeTuner(8, images=24, tries=False)
    assert alone.next == 8
    few = BatchSizeTuner(256, images=24, tries=True)
    assert few.next == 24


def test_threads_follow_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tlearn.base.machine.os.cpu_count", lambda: 4)
    assert [free_threads(4, busy) for busy in (0.0, 0.4, 1.0, 2.6, 9.0)] == [4, 4, 3, 1, 1]
    assert free_threads(2, 1.0) == 2
    before = torch.get_num_threads()
    busy = [1.0, 3.0]
    monkeypatch.setattr(Neighbours, "busy_cores", lambda _: busy.pop())
    monkeypatch.setattr(threads, "_EVERY_S", 0.0)
    torch.set_num_threads(4)
    try:
        with FreeThreads() as free:
            free.follow()
            assert torch.get_num_threads() == 1
            free.follow()
            assert torch.get_num_threads() == 3
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="only Linux says how busy its cores are")
def test_a_busy_neighbour_is_seen_and_own_work_is_not() -> None:
    neighbours = Neighbours()
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        pass
    alone = neighbours.busy_cores()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        time.sleep(0.3)
        neighbours.busy_cores()
        time.sleep(1)
        busy = neighbours.busy_cores()
        other.kill()  # before anything can fail: the context waits for its end
    assert busy > min(alone + 0.5, 0.8 * cores_allowed())


def test_a_quota_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(threads, "_QUOTA", quota)
    monkeypatch.setattr("tlearn.base.machine.os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert cores_allowed() == 64
    for text, cores in (("max 100000", 64), ("150000 100000", 2), ("400000 100000", 4)):
        quota.write_text(text)
        assert cores_allowed() == cores


def test_a_warning_names_the_remedy(tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Neighbours, "busy_cores", lambda _: 1.0)
    monkeypatch.setattr("tlearn.base.machine.os.cpu_count", lambda: 2)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        answer = tlearn("fit", "-c", small, "--trainer.max_epochs", "1")
    finally:
        torch.set_num_threads(before)
    assert answer.code == 0
    assert "OMP_NUM_THREADS=1" in answer.err
