"""`export` writes one file that answers as the library does, or nothing."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from tests.conftest import SMALL, Tlearn
from tests.helpers.fake_pictures import write_folder
from tlearn import main
from tlearn.base.errors import TlearnError
from tlearn.base.types import Task
from tlearn.cli.arguments import split_arguments
from tlearn.cli.transfer_cli import run
from tlearn.data.files.reading import Framing, framing_in, read_image
from tlearn.data.images.in_memory import InMemoryImages
from tlearn.deploy import export
from tlearn.deploy.check import Examples, compare
from tlearn.deploy.export import export_network
from tlearn.deploy.exported_network import ExportedNetwork, FixedPointResize
from tlearn.deploy.loading import load_module
from tlearn.deploy.state_file import rebuild
from tlearn.models.calibration import Calibration
from tlearn.training.callbacks.run_folder import CONFIG_KEY
from tlearn.training.module import TransferModule

CHECKED = r"checked on 21 validation images with {}: top-1 agrees on 100\.00 %, largest difference \d\.\de-\d\d\n"


pytestmark = pytest.mark.xdist_group("export")  # one run


@pytest.fixture(scope="module")
def best(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint of the small config."""
    folder = tmp_path_factory.mktemp("run")
    config = folder / "small.yaml"
    config.write_text(SMALL)
    assert main(["fit", "-c", str(config), "--trainer.default_root_dir", str(folder), "--trainer.max_epochs", "1"]) == 0
    return str(folder / "small/version_0/checkpoints/best.ckpt")


def noise(count: int, size_px: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, size_px, size_px), generator=generator, dtype=torch.uint8)


def examples(images: Tensor, targets: Tensor | None = None) -> Examples:
    targets = torch.zeros(len(images), dtype=torch.int64) if targets is None else targets
    both = InMemoryImages(images, targets, torch.arange(len(images)))
    return Examples(both, both, "images", labelled=True)


def asked(path: Path | str) -> Callable[[Tensor], Tensor]:
    session = onnxruntime.InferenceSession(path)
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def network(task: Task = "classification", **options: Any) -> TransferModule:
    """The stem of a ResNet18 that has seen pictures of 16 px."""
    module = TransferModule(3, task=task, weights=None, tap="stem", **options)
    module.pictures = asdict(Framing(16, "center", 1.0))
    return module


def test_onnx_answers_as_the_library(best: str, tlearn: Tlearn, tmp_path: Path) -> None:
    answer = tlearn("export", "--ckpt_path", str(Path(best).parents[1]), "--out", "model.onnx")
    assert answer.code == 0, answer.err
    checked, wrote = answer.out.splitlines(keepends=True)
    assert re.fullmatch(CHECKED.format(re.escape(f"ONNX Runtime {onnxruntime.__version__}")), checked)
    assert wrote == "wrote model.onnx (0.6 MB)\n"
    assert answer.remarks == ""
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    session = onnxruntime.InferenceSession("model.onnx")
    (given,), (returned,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == ("images", "tensor(uint8)", ["N", 3, 16, 16])
    assert (returned.name, returned.type, returned.shape) == ("probabilities", "tensor(float)", ["N", 3])
    with torch.no_grad():
        wanted = load_module(best).answer(noise(8))
    torch.testing.assert_close(asked("model.onnx")(noise(8)), wanted, atol=1e-6, rtol=0)
    says_what_it_is("model.onnx", best)


def says_what_it_is(file: str, checkpoint: str) -> None:
    model = onnx.load(file)
    about = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert about["class_names"] == ["0", "1", "2"]
    assert (about["task"], about["image_size_px"]) == ("classification", 16)
    assert about["temperature"] == load_module(Path(checkpoint)).temperature != 1
    how = about["reading"].pop("how")
    square = {"size_px": 16, "crop_mode": "center", "crop_pct": 1.0}
    assert {name: value for name, value in about["reading"].items() if name != "numbers"} == square
    for words in (
        "exif_transpose",
        "convert('RGB')",
        "c = round(1 * short side)",
        "(width - c) // 2",
        "16 x 16 (bilin",
    ):
        assert words in how
    assert about["normalisation"]["mean"] == pytest.approx([0.485, 0.456, 0.406])
    assert about["versions"]["torch"] == torch.__version__
    assert about["network"]["tap"] == "layer1"
    digest = subprocess.run(["sha256sum", checkpoint], capture_output=True, text=True, check=True).stdout.split()[0]
    assert about["checkpoint"] == {"name": "best.ckpt", "sha256": digest}
    assert str(Path(export.__file__).parent).encode() not in Path(file).read_bytes()


@pytest.mark.slow
def test_pt2(best: str, tlearn: Tlearn, tmp_path: Path) -> None:
    answer = tlearn("export", "--ckpt_path", best, "--out", "model.pt2")
    assert answer.code == 0, answer.err
    assert re.match(CHECKED.format(re.escape(f"torch.export {torch.__version__}")), answer.out)
    assert answer.remarks == ""
    extra = {"metadata.json": ""}
    program = torch.export.load("model.pt2", extra_files=extra)
    assert json.loads(extra["metadata.json"])["class_names"] == ["0", "1", "2"]
    module, images = load_module(best), noise(8)
    for count in (1, 8):
        torch.testing.assert_close(program.module()(images[:count]), module.answer(images[:count]), atol=1e-6, rtol=0)
    assert str(Path(export.__file__).parent).encode() not in Path("model.pt2").read_bytes()


def test_safetensors(best: str, tlearn: Tlearn, tmp_path: Path) -> None:
    answer = tlearn("export", "--ckpt_path", best, "--out", "model.safetensors")
    assert answer.code == 0, answer.err
    assert answer.out.endswith("wrote model.safetensors and model.json (0.6 MB)\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.safetensors"]
    assert Path("model.safetensors").stat().st_mode == Path("model.json").stat().st_mode
    again, module = rebuild("model.safetensors"), load_module(best)
    torch.testing.assert_close(again.answer(noise(8)), module.answer(noise(8)), atol=0, rtol=0)
    assert again.pictures == module.pictures
    assert json.loads(Path("model.json").read_text())["network"]["backbone"] == "resnet18"


@pytest.mark.parametrize("kind", ["safetensors", "onnx", "pt2"])
def test_every_export_answers_with_the_calibration(kind: str, tmp_path: Path) -> None:
    module, path = network().eval(), tmp_path / f"model.{kind}"
    module.calibration = Calibration(0.01, 0.3)
    export_network(module, path, examples(noise(8)))  # which checks that the file answers as the network does
    if kind == "safetensors":
        assert rebuild(path).calibration == (0.01, 0.3)
    if kind == "onnx":
        said = {entry.key: json.loads(entry.value) for entry in onnx.load(path).metadata_props}
        assert (said["temperature"], said["uniform_share"]) == (0.01, 0.3)
        assert asked(path)(noise(8)).max() <= 0.8 + 1e-6  # 0.7 and a third of 0.3


def test_safetensors_of_before_have_no_uniform_share(tmp_path: Path) -> None:
    module, path = network().eval(), tmp_path / "model.safetensors"
    module.calibration = Calibration(2.0, 0.3)
    export_network(module, path, examples(noise(8)))
    beside = path.with_suffix(".json")
    said = json.loads(beside.read_text())
    del said["uniform_share"]
    beside.write_text(json.dumps(said))
    assert rebuild(path).calibration == (2.0, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("freezing", [[], ["--model.freeze_backbone=true"], ["--model.freeze_until=stem"]])
def test_answer_does_not_depend_on_the_batch(freezing: list[str], small: str, tmp_path: Path) -> None:
    root = ["--trainer.default_root_dir", str(tmp_path), "--trainer.max_epochs", "1"]
    module = run(split_arguments(["fit", "-c", small, "--model.tap", "stem", *root, *freezing])).model
    modes = [part.training for part in module.modules()]
    assert True in modes  # as fit left it
    out = tmp_path / "model.onnx"
    export_network(module, out, examples(noise(8)))
    assert [part.training for part in module.modules()] == modes
    norms = [node for node in onnx.load(out).graph.node if node.op_type == "BatchNormalization"]
    assert not any(a.name == "training_mode" and a.i for node in norms for a in node.attribute)
    ask, images = asked(out), noise(8)
    images[1:] //= 8  # dark mates
    torch.testing.assert_close(ask(images[:1]), ask(images)[:1], atol=1e-6, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "said", "output"),
    [
        ("multilabel", "labels agree on 100.00 %, largest difference ", "probabilities"),
        ("regression", "of the values' spread", "values"),
    ],
)
def test_other_tasks(task: Task, said: str, output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = network(task, head_hidden=[4]).eval()
    module.calibration = Calibration(0.1, 0.2)
    export_network(module, tmp_path / "model.onnx", examples(noise(8)))
    assert said in capsys.readouterr().out
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert [(one.name, one.shape) for one in session.get_outputs()] == [(output, ["N", 1 if output == "values" else 3])]
    with torch.no_grad():
        torch.testing.assert_close(asked(tmp_path / "model.onnx")(noise(8)), module.answer(noise(8)), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("from_px", "to_px"), [(8, 64), (32, 128), (20, 33), (224, 128), (96, 17), (600, 64)])
def test_resizing_is_torchvisions(from_px: int, to_px: int) -> None:
    images = noise(2, from_px)
    wanted = F.resize(images, [to_px], antialias=True)
    resize = FixedPointResize(from_px, to_px)
    assert torch.equal(resize(images), wanted.float())
    # float64 is rare outside of CPUs: only where float32 has too few bits
    assert resize.weights.dtype == (torch.float64 if from_px > 4 * to_px else torch.float32)


@pytest.mark.slow
@pytest.mark.parametrize(("image_size", "kind"), [(40, ".onnx"), (12, ".pt2")])
def test_picture_resized_by_the_model(image_size: int, kind: str, tmp_path: Path) -> None:
    module = network(image_size=image_size).eval()
    agreement = export_network(module, tmp_path / f"model{kind}", examples(noise(8)))  # of 16 px
    assert agreement.difference < 1e-6


@pytest.mark.slow
def test_int8(best: str, tlearn: Tlearn, tmp_path: Path) -> None:
    answer = tlearn("export", "--ckpt_path", best, "--out", "model.onnx", "--quantize", "int8")
    assert answer.code == 0, answer.err
    assert answer.remarks == ""
    lines = answer.out.splitlines()
    assert len(lines) == 3
    said = (
        r"int8, calibrated on 24 images: accuracy [\d.]+ % before, accuracy [\d.]+ % after, on 21 validation images; "
    )
    assert re.fullmatch(said + r"0\.6 MB to 0\.2 MB", lines[1])
    assert lines[2] == "wrote model.onnx (0.2 MB)"
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    model = onnx.load("model.onnx")
    kinds = [node.op_type for node in model.graph.node]
    assert "Add" in kinds[: kinds.index("QuantizeLinear")]  # pixels are normalised in float32
    assert kinds[-1] == "Softmax"
    weights = [one for one in model.graph.initializer if one.name.endswith("weight_quantized")]
    assert {one.data_type for one in weights} == {onnx.TensorProto.INT8}
    assert max(len(one.dims) and one.dims[0] for one in model.graph.initializer if "scale" in one.name) == 64
    about = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert about["class_names"] == ["0", "1", "2"]
    assert about["quantization"].startswith("int8")
    with torch.no_grad():
        wanted = load_module(best).answer(noise(8))
    assert (asked("model.onnx")(noise(8)) - wanted).abs().max() < 0.2


@pytest.mark.slow
def test_int8_is_quiet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    module = TransferModule(3, weights=None, backbone="convnext_tiny", tap="stem")  # has a LayerNorm
    module.pictures = asdict(Framing(16))
    export_network(module, tmp_path / "model.onnx", examples(noise(4)), int8=True)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert logging.getLogger().level < logging.ERROR


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "export needs --out, a file that ends in .onnx, .pt2 or .safetensors"),
        (["--out", "model.pb"], "--out model.pb: expected a file that ends in .onnx, .pt2 or .safetensors"),
        (["--out", "nowhere/model.pt2"], "nowhere does not exist; make it first"),
        (["--out", "folder.onnx"], "--out folder.onnx is a folder"),
        (["--out", "m.onnx", "--quantize", "int4"], "unknown value of --quantize 'int4'. Did you mean 'int8'?"),
        (["--out", "m.pt2", "--quantize", "int8"], "--quantize int8 makes an .onnx file; --out is m.pt2"),
        (
            ["--out", "m.onnx", "--quantise", "int8"],
            "unknown option of export '--quantise'. Did you mean '--quantize'?",
        ),
        (["--out", "m.onnx", "best.ckpt"], "no run at "),
        (["--out"], "argument --out: expected one argument"),
        (["--out", "m.onnx", "--data", "nowhere"], "--data nowhere: no folder at "),
        (["--out", "m.onnx", "--ckpt_path", "nowhere"], "no checkpoint at "),
        (["--out", "m.onnx"], "export needs a run"),
    ],
)
def test_refuses(words: list[str], expected: str, tlearn: Tlearn) -> None:
    Path("folder.onnx").mkdir()
    answer = tlearn("export", *words)
    assert answer.code == 2
    assert expected in answer.err
    assert len(answer.err.splitlines()) == 1
    assert answer.out == ""
    assert [path.name for path in Path().iterdir()] == ["folder.onnx"]


def test_missing_packages_are_said_first(tlearn: Tlearn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    answer = tlearn("export", "--ckpt_path", "nowhere", "--out", "model.onnx")
    expected = "error: export to .onnx needs: pip install 'tlearn[export]' (missing: onnx, onnxscript)\n"
    assert (answer.code, answer.err) == (2, expected)
    assert "no checkpoint at" in tlearn("export", "--ckpt_path", "nowhere", "--out", "model.pt2").err  # needs neither


def test_help_is_quick() -> None:
    code = "import sys; from tlearn.cli import main; main(['export', '--help']); print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("usage: tlearn export RUN --out FILE")
    assert said.endswith("\nFalse\n")


def test_keyword_finds_the_run(best: str, tlearn: Tlearn, small: str) -> None:
    root = str(Path(best).parents[3])
    words = ["--ckpt_path", "last", "--out", "model.safetensors", "--trainer.default_root_dir", root]
    assert tlearn("export", "--config", small, *words).code == 0
    assert json.loads(Path("model.json").read_text())["checkpoint"]["name"] == "last.ckpt"


@pytest.mark.slow
@pytest.mark.parametrize("kind", [".onnx", ".safetensors"])
def test_what_answers_differently_is_refused(
    kind: str, best: str, tlearn: Tlearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"model{kind}").write_text("the old one")

    class Wrong(ExportedNetwork):
        def __init__(self, module: TransferModule, *more: Any) -> None:
            super().__init__(module, *more)
            self.head.load_state_dict({name: value.roll(1, 0) for name, value in self.head.state_dict().items()})

    monkeypatch.setattr(export, "ExportedNetwork", Wrong)
    refused = tlearn("export", "--ckpt_path", best, "--out", f"model{kind}")
    assert refused.code == 2
    assert "the export answers differently, nothing was written; checked on 21 validation images" in refused.err
    assert len(refused.remarks.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == [f"model{kind}"]
    assert (tmp_path / f"model{kind}").read_text() == "the old one"


def test_failure_of_the_exporter_is_one_line(
    best: str, tlearn: Tlearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no such\n  operator")

    monkeypatch.setattr(torch.export, "export", fail)
    answer = tlearn("export", "--ckpt_path", best, "--out", "model.onnx")
    assert (answer.code, answer.remarks) == (2, "error: resnet18 cannot be exported to .onnx: no such operator\n")
    assert list(tmp_path.iterdir()) == []


def test_old_file_is_replaced(best: str, tlearn: Tlearn) -> None:
    Path("model.safetensors").write_text("the old one")
    assert tlearn("export", "--ckpt_path", best, "--out", "model.safetensors").code == 0
    assert rebuild("model.safetensors").class_names == ["0", "1", "2"]


def test_moved_data(best: str, tlearn: Tlearn, tmp_path: Path) -> None:
    content = torch.load(best, weights_only=True)
    content[CONFIG_KEY]["data"] = {"class_path": "ImageFolderDataModule", "init_args": {"root": str(tmp_path / "gone")}}
    torch.save(content, "moved.ckpt")
    words = ["--ckpt_path", "moved.ckpt", "--out", "model.safetensors"]
    answer = tlearn("export", *words)
    assert answer.code == 2
    assert "the run's validation images, to check the export with, cannot be had: data.init_args.root: no" in answer.err
    assert answer.err.endswith("or check it with other pictures: --data FOLDER\n")
    assert len(answer.err.splitlines()) == 1
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (40, 30), (200, 10, 90)).save(tmp_path / name / "picture.png")
    (tmp_path / "a/broken.jpg").write_text("no picture")
    answer = tlearn("export", *words, "--data", "a", "b")
    assert answer.code == 0, answer.err
    assert answer.out.startswith(f"checked on 2 pictures in {tmp_path / 'a'}, {tmp_path / 'b'} with safetensors")
    (tmp_path / "a/picture.png").unlink()
    refused = tlearn("export", *words, "--data", "a")
    assert (refused.code, refused.err) == (2, f"error: --data: no readable picture in {tmp_path / 'a'}\n")


def test_data_of_the_run_are_what_it_trained_on(best: str, tlearn: Tlearn, tmp_path: Path) -> None:
    """Pictures take their size from the model's, and classes that have other names by now are refused."""
    for split in ("train", "val"):
        write_folder(tmp_path / "data" / split, count=2)
        for number, name in enumerate(("cat", "dog", "eel")):
            (tmp_path / "data" / split / name).rename(tmp_path / "data" / split / str(number))
    content = torch.load(best, weights_only=True)
    content[CONFIG_KEY]["data"] = {"class_path": "ImageFolderDataModule", "init_args": {"root": str(tmp_path / "data")}}
    content[CONFIG_KEY]["model"]["image_size"] = 16
    torch.save(content, "folder.ckpt")
    words = ["--ckpt_path", "folder.ckpt", "--out", "model.pt2"]
    answer = tlearn("export", *words)
    assert answer.code == 0, answer.err
    assert answer.out.startswith("checked on 6 validation images")
    for split in ("train", "val"):
        (tmp_path / "data" / split / "2").rename(tmp_path / "data" / split / "two")
    answer = tlearn("export", *words)
    assert answer.code == 2
    assert "cannot be had: the data have the classes 0, 1, two by now, not the checkpoint's" in answer.err


def test_checkpoint_from_python(best: str, tlearn: Tlearn) -> None:
    content = torch.load(best, weights_only=True)
    del content[CONFIG_KEY]
    torch.save(content, "python.ckpt")
    answer = tlearn("export", "--ckpt_path", "python.ckpt", "--out", "model.pt2")
    assert answer.code == 2
    assert "python.ckpt was written from Python and does not name its data; or check it with other" in answer.err


def test_letterbox_is_told(tmp_path: Path) -> None:
    module = network().eval()
    module.pictures = asdict(Framing(16, "letterbox"))
    export_network(module, tmp_path / "model.safetensors", examples(noise(8)))
    how = json.loads((tmp_path / "model.json").read_text())["reading"]["how"]
    assert "the long side is 16 (bilinear, the short side rounded), and paste it at ((16 - width) // 2, (16 " in how
    fill = tuple(map(int, re.findall(r"colour \((\d+), (\d+), (\d+)\)", how)[0]))
    photo = Image.linear_gradient("L").resize((90, 51)).convert("RGB")
    photo.save(tmp_path / "photo.png")
    square = Image.new("RGB", (16, 16), fill)
    inner = photo.resize((16, round(51 * 16 / 90)), Image.Resampling.BILINEAR)
    square.paste(inner, ((16 - inner.width) // 2, (16 - inner.height) // 2))
    read = read_image(tmp_path / "photo.png", Framing(16, "letterbox")).permute(1, 2, 0)
    assert (torch.from_numpy(np.array(square)).int() - read.int()).abs().max() <= 1


def test_images_are_spread_over_the_source() -> None:
    images = torch.arange(10, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    batches = [batch.images[:, 0, 0, 0].tolist() for batch in examples(images).to_check(4, 3)]
    assert batches == [[0, 2, 5], [7]]


def test_oblong_images_are_cut_square() -> None:
    images = torch.arange(7, dtype=torch.uint8).expand(1, 3, 4, 7)
    (batch,) = examples(images).to_calibrate(1, 1)
    assert batch.images[0, 0].tolist() == [[1, 2, 3, 4]] * 4


@pytest.mark.parametrize(
    ("task", "wanted", "given", "share", "difference", "holds"),
    [
        ("classification", [[0.6, 0.4], [0.5000002, 0.4999998]], [[0.6, 0.4], [0.49999, 0.50001]], 1.0, 1e-5, True),
        ("classification", [[0.6, 0.4], [0.50001, 0.49999]], [[0.6, 0.4], [0.49999, 0.50001]], 0.5, 2e-5, False),
        ("classification", [[0.6, 0.4]], [[0.6002, 0.3998]], 1.0, 2e-4, False),
        ("classification", [[0.6, 0.4]], [[float("nan"), 0.4]], 1.0, float("nan"), False),
        ("multilabel", [[0.6, 0.49999]], [[0.6, 0.50001]], 0.5, 2e-5, False),
        ("regression", [[0.0], [100.0]], [[0.0], [100.005]], 1.0, 5e-5, True),
        ("regression", [[0.0], [1.0]], [[0.0], [1.005]], 1.0, 5e-3, False),
    ],
)
def test_agreement(
    task: Task, wanted: list[Any], given: list[Any], share: float, difference: float, holds: bool
) -> None:
    found = compare(task, torch.tensor(wanted), torch.tensor(given))
    assert found.difference == pytest.approx(difference, rel=0.05, nan_ok=True)
    assert (found.share, found.holds) == (share, holds)


def test_unknown_reading_is_refused(tmp_path: Path) -> None:
    module = network()
    module.pictures = None
    with pytest.raises(TlearnError, match="does not say how pictures were read"):
        export_network(module, tmp_path / "model.pt2", examples(noise(2)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "size_px", "tap"),
    [
        ("mobilenet_v3_small", 64, None),
        ("convnext_tiny", 64, None),
        ("swin_t", 64, None),
        ("vit_b_16", 224, "block2"),
        ("timm/levit_128s", 224, None),
    ],
)
def test_family(backbone: str, size_px: int, tap: str | None, tmp_path: Path) -> None:
    module = TransferModule(3, weights=None, backbone=backbone, tap=tap).eval()
    module.pictures = asdict(Framing(size_px))
    for kind in ("onnx", "pt2"):
        agreement = export_network(module, tmp_path / f"model.{kind}", examples(noise(5, size_px)))
        assert agreement.difference < 2e-6


@pytest.mark.slow
def test_photographs_without_torch(tmp_path: Path) -> None:
    torch.manual_seed(5)  # a network that tells the first photograph from the second, the same one lying
    module = TransferModule(3, class_names=["upright", "lying", "else"], weights=None, tap="layer2").eval()
    module.pictures = asdict(Framing(64, "center", 0.875))
    module.head.get_parameter("weight").data *= 20  # so that it is sure of it
    photographs = write_photographs(tmp_path)
    export_network(module, tmp_path / "model.onnx", examples(noise(8, 64)))
    python = tmp_path / "bare/bin/python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "bare"], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "numpy", "pillow", "onnxruntime"], check=True)
    assert subprocess.run([python, "-c", "import torch"], capture_output=True).returncode == 1
    script = Path(__file__).with_name("torch_free.py")
    done = subprocess.run([python, script, tmp_path / "model.onnx", *photographs], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == [str(path) for path in photographs]
    assert [row[1] for row in rows] == ["upright", "lying", "lying", "lying", "lying"]
    framing, differences = framing_in(module.pictures), []
    for path, (_, name, probability) in zip(photographs, rows, strict=True):
        with torch.no_grad():
            answer = module.answer(read_image(path, framing)[None])[0]
        assert name == module.class_names[int(answer.argmax())]
        differences.append(abs(float(probability) - float(answer.max())))
    print(f"largest difference {max(differences):.4f}")  # shown by pytest -s
    assert max(differences) < 0.02


def write_photographs(folder: Path) -> list[Path]:
    """A JPEG that EXIF turns upright, the same as it lies, a large JPEG, a grey one, a PNG with a palette."""
    generator = torch.Generator().manual_seed(1)
    spots = torch.rand(1, 3, 7, 9, generator=generator)
    ramp = torch.linspace(0, 1, 500)[:, None].expand(500, 700)
    smooth = F.resize(spots, [500, 700], antialias=True)[0] * 0.5 + ramp * 0.5
    photo = Image.fromarray((smooth * 255).byte().permute(1, 2, 0).numpy())
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    photo.save(folder / "turned.jpg", quality=92, exif=exif)
    photo.save(folder / "lying.jpg", quality=92)
    photo.resize((2100, 1500)).save(folder / "large.jpg", quality=92)
    photo.convert("L").save(folder / "grey.jpg", quality=92)
    photo.quantize(64).save(folder / "palette.png")
    return [folder / name for name in ("turned.jpg", "lying.jpg", "large.jpg", "grey.jpg", "palette.png")]
