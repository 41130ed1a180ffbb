"""Options from numpy, pandas and torch, pickles, and checkpoints that can be read again (N35, P02)."""

from __future__ import annotations

import copy
import enum
import io
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import write_splits
from tlearn import DigitsDataModule, ImageFolderDataModule, TlearnError, TransferModule, load
from tlearn.deploy.predictor import Predictor
from tlearn.models.weights.safe_load import read_checkpoint
from tlearn.training.callbacks.checkpoints import AtomicCheckpointIO

NAMES = ["a", "b", "c"]


class Norm(enum.StrEnum):
    FIXED = "fixed"


@pytest.fixture(autouse=True)
def _lightning_says_errors_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("ERROR", "lightning.pytorch")  # what caplog sets, it puts back


def module(**options: Any) -> TransferModule:
    given: dict[str, Any] = {"num_classes": 3, "class_names": NAMES, "weights": None, "tap": "stem"} | options
    return TransferModule(**given)


def digits(**options: Any) -> DigitsDataModule:
    given: dict[str, Any] = {"classes": [0, 1, 2], "size_px": 16, "batch_size": 8, "train_per_class": 4} | options
    return DigitsDataModule(**given)


def trained(
    model: TransferModule,
    data: DigitsDataModule,
    *callbacks: Callback,
    own_io: bool = False,
    ckpt_path: Path | None = None,
    epochs: int = 1,
) -> Trainer:
    quiet: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    plugins: Any = [AtomicCheckpointIO()] if own_io else None
    trainer = Trainer(
        **quiet,
        max_epochs=epochs,
        limit_train_batches=1,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        accelerator="cpu",
        use_distributed_sampler=False,
        callbacks=list(callbacks),
        plugins=plugins,
    )
    trainer.fit(model, data, ckpt_path=ckpt_path, weights_only=True)
    return trainer


FOREIGN: list[tuple[str, Any, Any]] = [
    ("num_classes", np.int64(3), 3),
    ("num_classes", np.float64(3), 3),
    ("num_classes", torch.tensor(3), 3),
    ("class_names", np.unique(NAMES), NAMES),
    ("class_names", list(np.unique(NAMES)), NAMES),
    ("class_names", np.array(NAMES, dtype=object), NAMES),
    ("class_names", tuple(NAMES), NAMES),
    ("class_names", np.arange(3), ["0", "1", "2"]),
    ("class_names", range(3), ["0", "1", "2"]),
    ("label_smoothing", np.float32(0.25), 0.25),
    ("class_weights", np.array([1, 2, 3]), [1, 2, 3]),
    ("class_weights", torch.tensor([1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]),
    ("class_weights", np.str_("balanced"), "balanced"),
    ("lr_scales", {np.str_("backbone"): np.float64(0.5)}, {"backbone": 0.5}),
    ("rules", {"head": np.float16(0.5), "backbone": None}, {"head": 0.5, "backbone": None}),
    ("unfreeze", {"backbone": np.int32(1)}, {"backbone": 1}),
    ("image_size", np.uint8(16), 16),
    ("tap", np.array(["stem"]), ["stem"]),
    ("backbone", np.str_("resnet18"), "resnet18"),
    ("head_hidden", np.array([8]), [8]),
    ("head_dropout", np.longdouble(0.5), 0.5),
    ("freeze_backbone", np.bool_(True), True),
    ("batch_norm", Norm.FIXED, "fixed"),
]


class Keeping(Callback):
    """Keeps anything in its state."""

    def __init__(self, **state: Any) -> None:
        self.state = state

    def state_dict(self) -> dict[str, Any]:
        return self.state


def types_in(value: Any) -> set[type]:
    parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return {type(value)}.union(*(types_in(part) for part in parts))


@pytest.mark.parametrize(("option", "value", "plain"), FOREIGN)
def test_an_option_is_kept_as_a_plain_value(option: str, value: Any, plain: Any) -> None:
    kept = module(**{option: value}).hparams
    assert kept[option] == plain
    assert types_in(dict(kept)) <= {dict, list, str, int, float, bool, type(None)}


@pytest.mark.parametrize("own_io", [True, False])
def test_what_numpy_gave_is_tested_and_opened_again(own_io: bool, tmp_path: Path) -> None:
    """As written in notebooks: classes counted and named by numpy, rates and sizes computed by it."""

    half: Any = np.float32(0.5)
    four: Any = np.int64(4)
    model = module(
        num_classes=np.array([0, 1, 2]).max() + 1,
        class_names=np.unique(NAMES),
        label_smoothing=np.float32(0.25),
        optimizer=lambda p: torch.optim.AdamW(p, lr=half, betas=(np.float64(0.5), 0.9)),
        lr_scheduler=lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=four),
    )
    data = digits(
        classes=np.arange(3), size_px=np.int64(16), batch_size=np.int64(8), train_per_class=np.int64(4),
        val_fraction=np.float32(0.5), split_seed=np.int64(1), num_workers=np.int64(0), drop_last=np.bool_(False),
    )  # fmt: skip
    data.class_names = np.array(NAMES)  # as a subclass may
    assert data.class_names == NAMES
    path = tmp_path / "model.ckpt"
    trained(model, data, Keeping(seen=np.int64(7), best=(np.float64(0.5), "x")), own_io=own_io).save_checkpoint(
        path, weights_only=False
    )
    held = read_checkpoint(path)
    assert held["tlearn"]["class_names"] == NAMES
    state = held["callbacks"]["Keeping"]
    assert (state, type(state["seen"]), type(state["best"])) == ({"seen": 7, "best": (0.5, "x")}, int, tuple)
    group = held["optimizer_states"][0]["param_groups"][0]
    assert (type(group["initial_lr"]), group["betas"], type(group["betas"])) == (float, (0.5, 0.9), tuple)
    assert load(path).class_names == NAMES


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("class_names", [b"a", b"b", b"c"], "class_names holds a value of type bytes, which no checkpoint could hold"),
        ("class_names", {"a", "b", "c"}, "class_names holds a value of type set"),
        ("class_names", [1.5, "b", "c"], "class_names: expected texts, got 1.5; write it as text"),
        ("class_names", "abc", "class_names: expected a list of texts, got 'abc'"),
        ("class_names", ["a", "b"], r"num_classes is 3, class_names are 2 \(a, b\)"),
        ("num_classes", 2.5, "num_classes: expected a whole number from 1 on, got 2.5"),
        ("lr_scales", {"backbone": object()}, "lr_scales holds a value of type object"),
        ("lr_scales", {"backbone": float("inf")}, "model.lr_scales: expected a finite number above 0, got inf"),
        ("l2_sp", float("nan"), "model.l2_sp: expected a finite number above 0, got nan"),
        ("class_weights", [1.0, -1.0, 1.0], "model.class_weights: expected a finite number above 0, got -1.0"),
        ("class_weights", "balance", "model.class_weights: expected a finite number above 0, got balance"),
        ("head_dropout", 1.5, "model.head_dropout: expected a number from 0 to 1, got 1.5"),
        ("batch_norm", "fix", "unknown model.batch_norm 'fix'. Did you mean 'fixed'?"),
        ("head_init", "prob", "unknown model.head_init 'prob'. Did you mean 'probe'?"),
        ("freeze_backbone", "false", "model.freeze_backbone: expected true or false, got 'false'"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(option: str, value: Any, expected: str) -> None:
    with pytest.raises(TlearnError, match=expected):
        module(**{option: value})


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            lambda p: torch.optim.SGD(p, lr=float("nan")),
            "model.optimizer.init_args.lr: expected a finite number, got nan",
        ),
        (
            lambda p: torch.optim.SGD(p, lr=float("inf")),
            "model.optimizer.init_args.lr: expected a finite number, got inf",
        ),
        (lambda p: torch.optim.SGD(p, lr=-1), "model.optimizer does not take its init_args: Invalid learning rate: -1"),
        (lambda p: torch.optim.SGD(p, lr=0.1, nesterov=True), "model.optimizer does not take its init_args: Nesterov"),
    ],
)
def test_rates_are_checked_before_the_first_step(make: Any, expected: str) -> None:
    with pytest.raises(TlearnError, match=expected):
        module(optimizer=make).configure_optimizers()


def test_lists_of_the_caller_may_change_afterwards() -> None:
    names, hidden, scales = list(NAMES), [8], {"backbone": 0.5}
    model, data = module(class_names=names, head_hidden=hidden, lr_scales=scales), digits()
    data.class_names = names
    names[0], hidden[0], scales["backbone"] = "z", 9, 3.0
    assert (model.class_names, data.class_names, model.hparams["class_names"]) == (NAMES, NAMES, NAMES)
    assert (model.hparams["head_hidden"], model.hparams["lr_scales"]) == ([8], {"backbone": 0.5})
    model.class_names[0] = "y"
    assert model.hparams["class_names"] == NAMES


@pytest.mark.parametrize("own_io", [True, False])
@pytest.mark.parametrize("value", [np.zeros(2), Path("x"), {"deep": [object()]}])
def test_a_checkpoint_that_nobody_could_read_is_not_written(value: Any, own_io: bool, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    trainer = trained(module(), digits(), Keeping(found=value), own_io=own_io)
    with pytest.raises(
        TlearnError, match=r"in callbacks / Keeping / found.*could not be read again, so it is not written"
    ):
        trainer.save_checkpoint(path, weights_only=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("backbone", ["resnet18", "vit_b_16", "swin_t", "convnext_tiny", "mobilenet_v3_small"])
def test_a_module_is_pickled(backbone: str) -> None:
    taps = {"vit_b_16": "block1", "swin_t": "stage1", "convnext_tiny": "stage1"}
    model = module(backbone=backbone, tap=taps.get(backbone)).eval()
    images = torch.randint(0, 256, (1, 3, 224, 224), dtype=torch.uint8)
    copied = pickle.loads(pickle.dumps(model))
    file = io.BytesIO()
    torch.save(model, file)
    with torch.inference_mode():
        assert torch.equal(copied.answer(images), model.answer(images))
    assert copied.configure_optimizers().param_groups[0]["lr"] == 1e-3
    assert copied.hparams == model.hparams


def test_copies_share_no_hook() -> None:
    """What loading a state forgets is the copy's own; functions of the user's are shared, not copied."""
    model = module()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        model._copies[None] = model.backbone
        twin.load_state_dict(model.state_dict())
        assert model._copies
        assert not twin._copies
        model.load_state_dict(twin.state_dict())
        assert not model._copies
    assert copy.deepcopy(model)._optimizer is model._optimizer


@pytest.mark.parametrize("rate", [0.01, 0.5])
def test_a_resume_says_whose_rate_counts(rate: float, tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    """Lightning puts the checkpoint's optimizer over the one that was just built, and trains at its rate."""
    path = tmp_path / "model.ckpt"
    trained(module(optimizer=lambda p: torch.optim.SGD(p, lr=0.01)), digits()).save_checkpoint(path, weights_only=False)
    model = module(optimizer=lambda p: torch.optim.SGD(p, lr=rate))
    trained(model, digits(), ckpt_path=path, epochs=2)
    told = {record.message for record in said.records if "goes on at the checkpoint's learning rates" in record.message}
    expected = "learning rates: rest 0.01, not 0.5; to start anew"
    assert not told if rate == 0.01 else (len(told) == 1 and expected in told.pop())


def _answer_elsewhere(predictor: Predictor, pictures: list[str], answers: Any) -> None:
    torch.set_num_threads(1)
    answers.put([prediction.probabilities for prediction in predictor.predict(pictures)])


def test_data_modules_are_pickled(tmp_path: Path) -> None:
    folder = ImageFolderDataModule(str(write_splits(tmp_path)), size_px=16)
    for data in (digits(), folder):
        data.setup("fit")
        copied = pickle.loads(pickle.dumps(data))
        assert copied.data_fingerprint == data.data_fingerprint
        assert copied.class_names == data.class_names
        assert torch.equal(copied.sample("val", 3).images, data.sample("val", 3).images)


@pytest.mark.slow
def test_a_predictor_answers_in_a_worker(tlearn: Tlearn, tmp_path: Path) -> None:
    root = write_splits(tmp_path / "pictures")
    words = ["-c", "folder.yaml", "--data.init_args.root", str(root), "--model.weights", "null", "--model.tap", "stem"]
    assert tlearn("fit", *words, "--data.init_args.size_px", "32").code == 0
    predictor = load(next(Path("runs/folder").glob("version_*")))
    pictures = [str(path) for path in sorted(root.glob("val/*/*"))[:3]]
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    worker = context.Process(target=_answer_elsewhere, args=(predictor, pictures, answers))
    worker.start()
    assert answers.get(timeout=120) == [prediction.probabilities for prediction in predictor.predict(pictures)]
    worker.join()
