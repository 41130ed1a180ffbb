"""The benchmarks run, and say what they measured; their figures are no matter for tests."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from benchmarks import table, transforms
from benchmarks.believe import sets, sets_table
from benchmarks.fake_photographs import write_photographs
from benchmarks.speed import fine_tuning, on_gpu, photograph_loops
from tests.helpers.fake_cifar import patch_checksums, write_fake_cifar10
from tests.helpers.fake_pictures import write_folder


def test_a_table_is_printed_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    write_fake_cifar10(root, per_class_train=20, per_class_test=2)
    patch_checksums(monkeypatch, root)
    table.main(["--root", str(root), "--only", "memory", "serving", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "| gradient and momentum of a 32 px fine-tuning | -0.62 | -0.621 of memory | 1 |" in printed
    assert printed.rstrip().endswith((tmp_path / "bench.md").read_text().rstrip())
    report = json.loads((tmp_path / "bench.json").read_text())
    assert report["figures"][0]["detail"]["numbers"] == 4_234_826
    assert report["machine"]["torch"] == torch.__version__.partition("+")[0]
    assert report["figures"][1]["value"] > 1000


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        table.main(["--gpu"])
    assert "no GPU found" in capsys.readouterr().err


def test_transforms_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    timm = pytest.importorskip("timm")
    from safetensors.torch import save_file

    torch.manual_seed(0)
    save_file(timm.create_model("test_efficientnet").state_dict(), tmp_path / "w.safetensors")
    write_folder(tmp_path / "pets", ("cat", "dog"), count=20)
    words = ["--network", "timm/test_efficientnet", "--weights", str(tmp_path / "w.safetensors")]
    words += ["--sets", str(tmp_path / "pets"), "--classes", "cat=281", "dog=207", "--cache", str(tmp_path / "kept")]
    for _ in range(2):  # once with features that are kept
        transforms.main([*words, "--seeds", "2", "--only", "tlearn"])
        rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
        rows = rows[2:]  # without the head
        assert [row[:2] for row in rows[:2]] == [["| pets", "timm"], ["| pets", "tlearn"]]
        assert [row[0] for row in rows[2:]] == ["| pets, of 1,000"] * 2 + ["| all"] * 2
        assert rows[0][2:] == [rows[0][2], rows[0][3], "+0.00 (+0.00 to +0.00)", "0 : 0", "1", "0.0 %", "100.0 % |"]
        assert 0.1 < float(rows[1][7].removesuffix(" %")) < 50
    assert rows[0][2].endswith(" of 40")


def test_pairs_are_tested_exactly() -> None:
    one, other = torch.tensor([1] * 9 + [0] * 3 + [1] * 5).bool(), torch.tensor([0] * 9 + [1] * 3 + [1] * 5).bool()
    alone, others, p = transforms.mcnemar(one, other)
    assert (alone, others) == (9, 3)
    assert p == pytest.approx(0.145996, abs=1e-6)  # 2 * (1 + 12 + 66 + 220) / 2^12
    assert transforms.mcnemar(one, one) == (0, 0, 1.0)


def test_promises_of_sets_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    labels = torch.arange(400) % 2
    features = torch.randn(400, 8) + labels[:, None] * 1.5
    stored = {
        "images": features,
        "labels": labels,
        "is_test": labels == 2,
        "names": [""] * 400,
        "class_names": ["a", "b"],
    }
    (tmp_path / "believe").mkdir()
    torch.save(stored, tmp_path / "believe" / "hymenoptera.pt")
    monkeypatch.setattr(sets, "LABELS", {"hymenoptera": (50,)})
    monkeypatch.setattr(sets, "DIRECTIONS", 8)
    path = str(tmp_path / "sets.csv")
    sets.main(["--root", str(tmp_path), "--draws", "20", "--out", path])
    sets_table.main(["--path", path])
    lines = capsys.readouterr().out.splitlines()
    (row,) = (line.split(" | ") for line in lines if line.startswith("| hymenoptera | 50 | 80 out of fold | lac"))
    assert [abs(float(share) - wanted) < 6 for share, wanted in zip(row[4].split(" / "), (80, 90, 95), strict=True)]
    (judged,) = (line for line in lines if line.startswith("| out of fold | lac | raw | 3 |"))
    assert "| 3 of 3 |" in judged
    (kept,) = (line.split(" | ") for line in lines if line.startswith("| hymenoptera | 50 | 80 out of fold | 0.9 |"))
    assert float(kept[-1].removesuffix(" % |")) >= 85


def test_loops_on_photographs_train(tmp_path: Path) -> None:
    root = write_photographs(tmp_path, 6, size_px=(48, 40))
    for loop in (photograph_loops.tutorial, photograph_loops.hand_written):
        rates = loop(root, 32, 2)
        assert len(rates) == 2
        assert min(rates) > 0


def test_fine_tuning_is_compared_in_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = []

    def run(build: Path, code: str, folder: Path, *words: str) -> dict[str, object]:
        name = words[0] if words[0] != "fit" else build.name
        turns.append(name)
        rate = {"tutorial": 10.0, "hand_written": 30.0, "former": 25.0}.get(name, 33.0)
        found: dict[str, object] = {"rates": [1.0, rate, rate, rate]}  # the first epoch does not count
        return found | ({"peak_bytes": 2e9 if name == "former" else 1.5e9} if words[0] == "fit" else {})

    monkeypatch.setattr(fine_tuning, "in_build", run)
    monkeypatch.setattr(fine_tuning, "former_build", lambda: Path("former"))
    monkeypatch.setattr(fine_tuning, "peak_gflop_s", lambda: 100.0)
    figures = fine_tuning.measure(tmp_path, n=6, sizes_px=(224,))
    assert turns[:4] == turns[:3:-1]
    product = 33 * fine_tuning.training_operations(224) / 1e11
    assert [figure.value for figure in figures] == pytest.approx([3.3, 1.1, product, 0.75, 1.32])
    assert [figure.wanted for figure in figures] == [">= 2.5", ">= 0.98", "", "<= 0.8", ""]
    assert [figure.n for figure in figures] == [6, 6, 6, 2, 6]
    # 3.63 GFLOP forward; backward twice that, but for the gradient of the pixels.
    assert fine_tuning.training_operations(224) / 1e9 == pytest.approx(10.65, abs=0.05)


@pytest.mark.slow
def test_fine_tuning_runs_as_a_command() -> None:
    figures = fine_tuning.measure(images=8, n=2, sizes_px=(32,), former=False)
    assert [figure.n for figure in figures] == [2, 2, 2]
    assert min(figure.value for figure in figures) > 0


def test_the_script_for_a_gpu_compares_weights(tmp_path: Path) -> None:
    for name, value in (("one", 1.0), ("same", 1.0), ("other", 2.0)):
        torch.save({"state_dict": {"head": torch.full((2,), value), "norm": torch.ones(2)}}, tmp_path / name)
    assert on_gpu.differences(tmp_path / "one", tmp_path / "same") == []
    assert on_gpu.differences(tmp_path / "one", tmp_path / "other") == ["head"]


@pytest.mark.slow
def test_the_script_for_a_gpu_runs_on_a_cpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(on_gpu, "decoded", lambda size: [])  # a test of its own
    figures = on_gpu.measure(on_gpu.Size(images=200, photographs=8, size_px=32, batch=20, epochs=2, rounds=1))
    assert len(figures) == 4, capsys.readouterr().err
    assert {figure.name: figure.value for figure in figures}["tensors that differ after a resume, deterministic"] == 0
    assert "LOCAL_RANK" not in os.environ  # a run that is started later would wait for this group
