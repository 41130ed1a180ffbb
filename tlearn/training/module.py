"""The LightningModule: preprocess, backbone and head as one whole. B images, K classes, H and W pixels."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal

import torch
from jsonargparse.typing import ClosedUnitInterval, NonNegativeInt, PositiveFloat, PositiveInt
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, StochasticWeightAveraging, WeightAveraging
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor
from torch.nn.utils import parameters_to_vector
from torch.optim.lr_scheduler import CyclicLR, OneCycleLR
from torch.optim.lr_scheduler import ReduceLROnPlateau as TorchReduceLROnPlateau

from tlearn.base.errors import TlearnError
from tlearn.base.name_forms import same_names
from tlearn.base.plain_values import plain, plain_values, texts, whole_number
from tlearn.base.processes import own_share
from tlearn.base.types import Batch, Task
from tlearn.models.backbones.backbone import Backbone
from tlearn.models.backbones.folding import folded
from tlearn.models.backbones.live_taps import LiveTapsConv2d, leave_out_padding, put_back
from tlearn.models.backbones.timm_backbone import build_backbone
from tlearn.models.calibration import fit_temperature
from tlearn.models.freezing import assign_rules, group_by_rule, hold_frozen_in_eval, rules_from_options
from tlearn.models.heads import build_head
from tlearn.models.losses import answers_of, balanced_class_weights, compute_loss, pull_towards
from tlearn.models.metrics import EpochMetrics
from tlearn.models.preprocess import Preprocess
from tlearn.models.state import check_loss, check_network, evaluating
from tlearn.models.target_unit import AS_IT_IS, TargetUnit, change_unit, unit_in, unit_of
from tlearn.models.weights.loading import load_weights
from tlearn.models.weights.statistics import Statistics, folded_norms, given_statistics
from tlearn.training.checkpoint_content import keep_plain, make_readable, with_python_numbers
from tlearn.training.ddp import weight_among_processes, wrap_anew
from tlearn.training.evaluation import Evaluation, calibration_errors
from tlearn.training.exact_resume import (
    end_restart,
    finished_epochs,
    missing_factor,
    monitor_of,
    pending_metric,
    prepare_resume,
    progress_of,
    scale_gradients,
    step_pending,
    steps_before,
    window_in,
)
from tlearn.training.lean_lightning import begin_averages
from tlearn.training.optimizer import (
    SharedFunction,
    check_warm_up,
    named_groups,
    peak_rates,
    rates_that_give_way,
    rising_share,
    scale_rates,
    starting_rates,
    tutorial_optimizer,
)
from tlearn.training.options import (
    built,
    check_class_options,
    check_groups,
    check_head_init,
    check_head_solver,
    check_option_values,
    check_steps,
)
from tlearn.training.run_checks import check_finders, check_length, check_monitor_modes, check_warm_up_length, length_of
from tlearn.training.typed import callbacks_of, data_of, is_trial, own_data_of

log = logging.getLogger(__name__)


# These are meant to step at every batch; all others step once an epoch.
_STEPWISE_SCHEDULERS = (OneCycleLR, CyclicLR)

_AVERAGING = (WeightAveraging, StochasticWeightAveraging)


class TransferModule(LightningModule):
    """A pretrained network that learns your classes.

    Args:
        num_classes: K; linked to the data by the command line.
        class_names: K names, stored in the checkpoint; linked to the data by the command line.
        task: What the head gives: K class scores, of which one or (``multilabel``) any number hold, or values, of which
            ``class_names`` names K columns where there are several. Linked to the data by the command line.
        backbone: A torchvision classifier (ResNet, ResNeXt, Wide ResNet, RegNet, ConvNeXt, Swin, EfficientNet,
            MobileNet, ViT), or ``timm/NAME``; ``help`` lists them.
        weights: Where the weights come from: ``DEFAULT`` (torchvision's best for ImageNet), a torchvision weights name,
            the path of a checkpoint or state dict of anyone's, ``FILE::KEY`` for one part of it, or ``null`` for random
            weights. A head for the same classes is loaded too, any other starts new.
        image_size: Side in pixels that the network sees; ``null`` is the data's own. Networks trained at 224 px gain
            much from enlarged small pictures. A ViT is built for it, and its position embeddings are resampled.
        tap: Stage, or list of stages side by side, whose pooled output feeds the head; ``null`` is the last. Later
            stages are not built. For little data unlike ImageNet.
        backbone_args: Arguments of a timm network by timm's names, e.g. ``{pad_type: same}`` for weights that
            TensorFlow trained, ``{drop_path_rate: 0.1}``.
        pixel_mean: What the weights want to see subtracted from red, green and blue scaled to [0, 1], where their file
            does not say; ``null`` is what is known of them. Together with ``pixel_std``.
        pixel_std: What they want to see the rest divided by.
        head_hidden: Widths of the head's hidden layers; empty is one linear layer.
        head_dropout: Share of the head's inputs dropped while training.
        freeze_backbone: The network is a fixed feature extractor, only the head trains.
        freeze_until: Freeze the stages up to and including this one: ``stem``, ``layer1`` to ``layer4`` in a ResNet.
        lr_scales: Stage or pattern to factor on the learning rate, e.g. ``{backbone: 0.1}``.
        rules: The whole table instead of the three shorthands above: pattern to factor, ``null`` for frozen; the first
            match wins.
        unfreeze: Stage, or ``backbone`` for the rest, to the epoch, counted from 0, that starts to train it, e.g.
            ``{layer4: 2, layer3: 5}``. What it does not name stays frozen; the head trains from the start.
        unfreeze_warmup_steps: Steps in which the learning rate of a newly opened stage rises to its own.
        batch_norm: ``follows`` the batches where a stage trains, or keeps its statistics ``fixed`` while its weights
            train: for batches too small or too few to tell what is usual.
        head_init: ``random``, or ``probe``: the linear head is solved on the frozen features before the first step,
            so that the fine-tuning starts from a good one (LP-FT; Kumar et al., 2022, arXiv 2202.10054).
        l2_sp: Strength of the pull towards the starting weights of the backbone (L2-SP; Li et al., 2018, arXiv
            1802.01483; 0.01 to 0.1 there). Set the optimizer's ``weight_decay`` to 0 with it.
        wise_ft: At the end mix the starting weights, with the probe's head, and the fine-tuned ones, in the share that
            validation likes best (WiSE-FT; Wortsman et al., 2022, arXiv 2109.01903). Needs ``head_init: probe``.
        label_smoothing: Share of each target spread over all classes, in the training loss alone.
        class_weights: One weight per class, or ``balanced``, in the training loss alone: for classes of uneven size.
        feature_cache: ``auto`` computes the features of a frozen backbone once, keeps them under ``.cache/tlearn`` and
            trains the head on them; ``refresh`` computes them anew, ``off`` never caches.
        cache_views: How many forms of each training image the cache keeps where images are augmented, the first as it
            is; each epoch shows one of them. 1 keeps none, and augmented images run through the network every time.
        head_solver: ``sgd`` trains the head by the optimizer. ``lbfgs`` (logistic regression) and ``ridge`` (least
            squares) solve a linear head on a frozen backbone in seconds, with the penalty that validation likes best;
            one epoch follows, without steps, that shows what it reaches.
        optimizer: Gets the parameter groups that the rules make; the default is the tutorial's.
        lr_scheduler: None by default, as in the tutorial.
        lr_interval: When the scheduler steps, and so what its numbers count: each ``epoch`` or each ``step`` of the
            optimizer; ``null`` is ``step`` for OneCycleLR and CyclicLR, made for it, and ``epoch`` for all others.
        warmup_steps: Steps in which all learning rates rise in a straight line to their own. The scheduler counts from
            the first step and does not see it.
        warmup_epochs: The same, in epochs.

    Attributes:
        stages: Parameter name to stage (``stem``, ``layer1``, ..., ``head``), in the model's order.
        rules: Parameter name to the rule that decides whether it trains, from when on, and how fast.
        backbone_trains: Whether any parameter of the backbone trains, from the start or later.
        starts_at_random: There are no weights to transfer from.
        num_outputs: K, what the head gives: the classes, or the columns of a regression.
        temperature: What logits are divided by before they become probabilities (Guo et al., 2017, arXiv 1706.04599); 1
            unless a calibration has set it.
        pictures: How picture files become what the network was trained on, see `tlearn.data.Framing`; ``None`` before
            the first checkpoint.
        finds_rates: A callback finds the learning rates in this run, so that they need not be those given.
        loss_weight: What the loss of this process counts in the mean over all processes; ``None`` where it is alone.
        rates_used: Group to the learning rate of the last step; empty before the first.
        evaluation: The answers of the last validation or test pass.
        start: Parameter or buffer name to its value before the first step, kept where an option needs it.

    Raises:
        TlearnError: A name that does not exist, weights that cannot be had, nothing left to train, or options that
            exclude each other.
    """

    def __init__(
        self,
        num_classes: int,
        class_names: list[str] | None = None,
        task: Task = "classification",
        backbone: str = "resnet18",
        weights: str | None = "DEFAULT",
        image_size: PositiveInt | None = None,
        tap: str | list[str] | None = None,
        backbone_args: dict[str, Any] | None = None,
        pixel_mean: list[float] | None = None,
        pixel_std: list[float] | None = None,
        head_hidden: list[PositiveInt] | None = None,
        head_dropout: float = 0.0,
        freeze_backbone: bool = False,
        freeze_until: str | None = None,
        lr_scales: dict[str, PositiveFloat] | None = None,
        rules: dict[str, PositiveFloat | None] | None = None,
        unfreeze: dict[str, NonNegativeInt] | None = None,
        unfreeze_warmup_steps: NonNegativeInt = 0,
        batch_norm: Literal["follows", "fixed"] = "follows",
        head_init: Literal["random", "probe"] = "random",
        l2_sp: PositiveFloat | None = None,
        wise_ft: bool = False,
        label_smoothing: ClosedUnitInterval = 0.0,
        class_weights: Literal["balanced"] | list[PositiveFloat] | None = None,
        feature_cache: Literal["auto", "off", "refresh"] = "auto",
        cache_views: PositiveInt = 1,
        head_solver: Literal["sgd", "lbfgs", "ridge"] = "sgd",
        optimizer: OptimizerCallable = lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9),
        lr_scheduler: LRSchedulerCallable | None = None,
        lr_interval: Literal["epoch", "step"] | None = None,
        warmup_steps: PositiveInt | None = None,
        warmup_epochs: PositiveInt | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["optimizer", "lr_scheduler", "weights"], logger=False)
        num_classes, task, backbone, weights, image_size, tap = plain_values(
            num_classes=num_classes, task=task, backbone=backbone, weights=weights, image_size=image_size, tap=tap
        )
        head_hidden, head_dropout, freeze_backbone, freeze_until = plain_values(
            head_hidden=head_hidden,
            head_dropout=head_dropout,
            freeze_backbone=freeze_backbone,
            freeze_until=freeze_until,
        )
        lr_scales, rules, unfreeze, unfreeze_warmup_steps, batch_norm = plain_values(
            lr_scales=lr_scales,
            rules=rules,
            unfreeze=unfreeze,
            unfreeze_warmup_steps=unfreeze_warmup_steps,
            batch_norm=batch_norm,
        )
        head_init, l2_sp, wise_ft, label_smoothing, class_weights = plain_values(
            head_init=head_init,
            l2_sp=l2_sp,
            wise_ft=wise_ft,
            label_smoothing=label_smoothing,
            class_weights=class_weights,
        )
        feature_cache, cache_views, head_solver, backbone_args = plain_values(
            feature_cache=feature_cache, cache_views=cache_views, head_solver=head_solver, backbone_args=backbone_args
        )
        pixel_mean, pixel_std = plain_values(pixel_mean=pixel_mean, pixel_std=pixel_std)
        warmup_steps, warmup_epochs, lr_interval = plain_values(
            warmup_steps=warmup_steps, warmup_epochs=warmup_epochs, lr_interval=lr_interval
        )
        check_option_values(
            task=task,
            head_dropout=head_dropout,
            freeze_backbone=freeze_backbone,
            lr_scales=lr_scales,
            rules=rules,
            batch_norm=batch_norm,
            head_init=head_init,
            l2_sp=l2_sp,
            wise_ft=wise_ft,
            label_smoothing=label_smoothing,
            class_weights=class_weights,
            feature_cache=feature_cache,
            head_solver=head_solver,
            lr_interval=lr_interval or "epoch",  # null is as the scheduler likes it
        )
        num_classes = whole_number("num_classes", num_classes)
        class_names = None if class_names is None else texts("class_names", class_names)
        keep_plain(self.hparams, class_names=class_names, num_classes=num_classes)
        self.hparams["weights"] = None  # a checkpoint brings its own: loading one asks for no other file
        self.task: Task = task
        self.num_classes = num_classes
        self.class_names = _default_names(task, num_classes) if class_names is None else class_names
        self.backbone = build_backbone(backbone, tap, image_size, backbone_args)
        given = given_statistics(pixel_mean, pixel_std)
        mean, std = (given.mean, given.std) if given else (self.backbone.mean, self.backbone.std)
        self.preprocess = Preprocess(image_size, mean, std)
        self.num_outputs = max(1, len(self.class_names)) if task == "regression" else num_classes
        self.head = build_head(self.backbone.num_features, self.num_outputs, head_hidden or (), head_dropout)
        self.backbone.to(memory_format=torch.channels_last)
        self.backbone.batch_norm_follows = batch_norm == "follows"
        self.backbone.train()
        self.native_size: int | None = None
        self._unit: TargetUnit | None = None  # until there are values, or a head that was trained
        self.starts_at_random = weights is None
        if weights is not None:
            self._load(weights, backbone, given)
        table = rules_from_options(self.backbone.stages, freeze_backbone, freeze_until, lr_scales, rules, unfreeze)
        self.stages = self._stage_of()
        self.rules = assign_rules(self.stages, table)
        self.open_stages(epoch=0)
        if weights is not None:
            self._warn_of_folded_norms()
        self.unfreeze_warmup_steps = unfreeze_warmup_steps
        self.warmup_steps, self.warmup_epochs, self.lr_interval = warmup_steps, warmup_epochs, lr_interval
        self.head_init, self.l2_sp, self.wise_ft = head_init, l2_sp, wise_ft
        self.label_smoothing, self.class_weights = label_smoothing, class_weights
        self.feature_cache, self.cache_views, self.head_solver = feature_cache, int(cache_views), head_solver
        self.take_images()
        self.start: dict[str, Tensor] = {}
        trained_by = [r.option for name, r in self.rules.items() if r.lr_scale and name.startswith("backbone.")]
        self.backbone_trains = bool(trained_by)
        self._is_in_run = False
        self._twins: dict[torch.dtype | None, Backbone] = {}
        self.register_load_state_dict_post_hook(_forget_twins)  # type: ignore[no-untyped-call]
        check_class_options(task, label_smoothing, class_weights, self.class_names, num_classes)
        check_head_init(task, self.head, head_init, wise_ft)
        by = trained_by[0] if trained_by else None
        check_head_solver(head_solver, task, self.head, head_init, by, lr_scheduler is not None)
        check_warm_up(warmup_steps, warmup_epochs)
        # In place from the start: weight averaging copies the module before the classes are counted.
        listed = (
            torch.tensor(class_weights, dtype=torch.float)
            if isinstance(class_weights, list)
            else torch.ones(num_classes)
        )
        self.class_weights_tensor: Tensor | None
        self.register_buffer("class_weights_tensor", listed if class_weights else None, persistent=False)
        # A lambda has no name that a pickle could hold; as a default it shows jsonargparse the class and its rate.
        self._optimizer = SharedFunction(tutorial_optimizer if optimizer is _default_of("optimizer") else optimizer)
        self._lr_scheduler = None if lr_scheduler is None else SharedFunction(lr_scheduler)
        self._pending_metric: float | None = None
        self.rates_used: dict[str, float] = {}
        self._given_rates: dict[str, float] = {}
        self._is_resumed = self._length_is_checked = False
        self.finds_rates = False
        self._pending_sums: dict[str, Any] | None = None
        self.loss_weight: Tensor | None = None
        self.temperature = 1.0
        self.evaluation, self._loaded_epochs = Evaluation(), 0
        self.pictures: dict[str, Any] | None = None
        self.train_metrics, self.val_metrics, self.test_metrics = (
            EpochMetrics(task, self.num_outputs, stage, self.class_names) for stage in ("train", "val", "test")
        )
        if self._unit is not None:  # of the file whose head was loaded
            self.answer_in(self._unit)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; torch's way looks for parameters, too slow for what Lightning sets at every hook."""
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def forward(self, images: Tensor) -> Tensor:
        """Turn uint8 images (B, 3, H, W), or cached features (B, D), into logits (B, K), or values (B, K).

        The head computes in float32 in any mixed precision: casting its weights takes longer than its product.
        """
        features = self._extract(images)
        with torch.autocast(features.device.type, enabled=False):
            output: Tensor = self.head(features.to(next(self.head.parameters()).dtype))
        return output

    @property
    def takes_features(self) -> bool:
        """Tell whether batches hold features, not images."""
        return self._extract is _as_they_are

    def take_features(self) -> None:
        """Let batches hold the features of the frozen backbone (B, D) from now on, in place of images."""
        self._extract: Callable[[Tensor], Tensor] = _as_they_are

    def take_images(self) -> None:
        """Let batches hold images (B, 3, H, W) from now on."""
        self._extract = self.features

    def features(self, images: Tensor) -> Tensor:
        """Turn uint8 images (B, 3, H, W) into what the head sees, (B, D)."""
        pixels = self.preprocess(images)
        network = self._twin(pixels) if self._is_in_run and not self.backbone_trains else self.backbone
        features: Tensor = network(pixels)
        return features

    @property
    def unit(self) -> TargetUnit:
        """Return the unit of a regression's values: what the head gives has mean 0 and deviation 1 of these."""
        return self._unit or AS_IT_IS

    def answer_in(self, unit: TargetUnit) -> None:
        """Answer in this unit from now on, whatever the head has learned so far."""
        self._unit = unit
        for metrics in (self.train_metrics, self.val_metrics, self.test_metrics):
            metrics.unit = unit

    def learned(self, targets: Tensor) -> Tensor:
        """Turn targets as the data give them into what the head learns: values standardised, all others as they are."""
        return self.unit.standardised(targets) if self.task == "regression" else targets

    def train(self, mode: bool = True) -> TransferModule:
        """Set the mode, but keep what is frozen in eval mode, so that its BatchNorm statistics cannot move."""
        super().train(mode)
        hold_frozen_in_eval(self)
        return self

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean loss of a batch; metrics are gathered and logged once an epoch."""
        output = self(batch.images)
        loss = self.training_loss(output, batch.targets)
        self.train_metrics.update(output, loss, self.learned(batch.targets))
        processes = own_share().processes
        if processes > 1:
            weights = self.class_weights_tensor
            self.loss_weight = weight_among_processes(self.task, batch.targets, weights, processes)
        return loss

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Compute gradients, whose mean over the processes is that of all their images.

        The last window of an epoch's accumulation is the mean of its batches, see `tlearn.training.exact_resume`.
        """
        loss = loss if self.loss_weight is None else loss * self.loss_weight
        if (factor := missing_factor(self.trainer)) != 1.0:
            scale_gradients(self.parameters(), factor)  # those of the window's batches so far
            loss = loss * factor
        super().backward(loss, *args, **kwargs)

    def training_loss(self, output: Tensor, targets: Tensor) -> Tensor:
        """Return what training minimises (a scalar), with label smoothing and class weights; validation has neither."""
        wanted = self.learned(targets)
        return compute_loss(self.task, output, wanted, self.label_smoothing, self.class_weights_tensor)

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Gather loss and metrics of a batch; callbacks get its ``output`` (B, K): logits, or values in their unit."""
        return self._evaluate(self.val_metrics, batch)

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Gather loss and metrics of a batch; callbacks get its ``output`` (B, K): logits, or values in their unit."""
        return self._evaluate(self.test_metrics, batch)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Return ``indices`` (B,) with ``probabilities`` (B, K) or ``values`` (B, K), float32 in any precision."""
        answer = self.answer(batch.images)
        return {"indices": batch.indices, "values" if self.task == "regression" else "probabilities": answer}

    def answer(self, images: Tensor) -> Tensor:
        """Turn uint8 images (B, 3, H, W) into float32 probabilities (B, K), or values (B, K) in the user's unit."""
        return self.unit.restored(answers_of(self.task, self(images).float(), self.temperature))

    def setup(self, stage: str) -> None:
        """Leave out the weights that meet nothing but padding in pictures of the data's size."""
        self._plain_again()  # a run that failed may have left the network as it was in it
        self._is_in_run = True
        shape = self._shape_of_data()
        # Averaging callbacks have copied the whole kernels by now; a network that never trains has a twin instead.
        if shape is not None and self.backbone_trains and not self._has_callback(*_AVERAGING):
            # Where the weights are: Lightning moves them later, but says already that they were.
            pixels = torch.zeros(1, 3, *shape, dtype=torch.uint8, device=self.preprocess.mean.device)
            with evaluating(self):  # so that no BatchNorm statistic moves
                leave_out_padding(self.backbone, self.preprocess(pixels))

    def teardown(self, stage: str) -> None:
        """Make the network a plain one again."""
        self._plain_again()

    def _plain_again(self) -> None:
        self._is_in_run = False
        self._twins.clear()
        put_back(self.backbone)

    def left_out(self, name: str) -> int:
        """Count the weights of a parameter's tensor that meet nothing but padding, and are no parameter."""
        conv = self._live_taps_of(name)
        return conv.left_out if conv else 0

    def on_fit_start(self) -> None:
        """Remember the run's seed, weigh the classes, and measure the unit of a regression's values.

        Raises:
            TlearnError: ``l2_sp`` has nothing to pull towards, nothing can train, or values are constant.
        """
        self._seed = torch.initial_seed() % 2**61
        self.evaluation = Evaluation()
        self._train_what_trains()
        self._say_what_never_opens()
        if self.head_solver != "sgd":
            self.trainer.fit_loop.max_epochs = self.trainer.check_val_every_n_epoch = 1
        if self.l2_sp and self.starts_at_random and not self.trainer.ckpt_path:
            raise TlearnError("model.l2_sp pulls towards pretrained weights, but model.weights is null; name some")
        if self.class_weights_tensor is not None and self.class_weights == "balanced":
            train = data_of(self.trainer).dataset("train")
            weights = balanced_class_weights(train.targets[train.indices], self.num_classes)
            self.class_weights_tensor.copy_(weights)
        if self.task == "regression" and not self.trainer.ckpt_path:  # a resumed run goes on in its unit
            self._measure_unit()

    def on_train_start(self) -> None:
        """Finish what the checkpoint that is resumed could not, and keep the starting weights where they are needed."""
        if self._pending_metric is not None:
            step_pending(self.trainer, self._pending_metric)
            self._pending_metric = None
        if self._pending_sums is not None:
            self.train_metrics.add(self._pending_sums, self.device)
            self._pending_sums = None
        self._say_whose_rates_count()
        end_restart(self.trainer)
        self.trainer.accumulate_grad_batches = window_in(self.trainer, self.current_epoch)
        if not self._length_is_checked:
            configs: list[Any] = self.trainer.lr_scheduler_configs
            self._check_length(self.trainer.num_training_batches, vars(configs[0]) if configs else None)
        if not self.global_step:
            begin_averages(callbacks_of(self.trainer), self)
        self.open_stages(self.current_epoch)  # a resume inside an epoch leaves on_train_epoch_start out
        if self.l2_sp or self.wise_ft:
            start = self.start or {name: value.clone() for name, value in self.network_state().items()}
            self.start = {name: value.to(self.device) for name, value in start.items()}

    def on_train_epoch_start(self) -> None:
        """Open the stages that the schedule starts in this epoch; whatever else touched it, frozen stays frozen."""
        self.open_stages(self.current_epoch)

    def open_stages(self, epoch: int) -> None:
        """Let the parameters train that their rules open in this epoch, counted from 0, and freeze those not open yet.

        A parameter that trains from the start is left as it is: a callback of the user's may hold it.
        """
        opened = False
        for name, rule in self.rules.items():
            parameter = self.get_parameter(name)
            if not rule.trains_in(epoch):
                parameter.requires_grad_(False)
                parameter.grad = None
            elif rule.from_epoch and not parameter.requires_grad:
                parameter.requires_grad_(True)
                opened = True
        if opened:
            self.train()
            if self._trainer is not None:
                wrap_anew(self._trainer)
        hold_frozen_in_eval(self)

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Step, with the lower rates of stages that are warming up; the scheduler never sees those."""
        if self.head_solver != "sgd":
            optimizer_closure()  # loss and metrics of the solved head
            return
        groups = optimizer.param_groups
        rates = [group["lr"] for group in groups]
        for group in groups:
            group["lr"] = group["lr"] * self._warmup(group.get("from_epoch", 0))
        self.rates_used = {name: float(group["lr"]) for name, group in named_groups(groups)}
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate

    def rates_in_use(self) -> dict[str, float]:
        """Return the learning rate of each group, by name, in the step at hand: the scheduler's, lower in a warm-up."""
        named = named_groups(self.trainer.optimizers[0].param_groups)
        return {name: float(group["lr"]) * self._warmup(group.get("from_epoch", 0)) for name, group in named}

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Pull towards the starting weights, before any clipping."""
        if self.l2_sp:
            parameters = dict(self.backbone.named_parameters("backbone"))
            pull_towards(parameters, {name: self._live(name, self.start[name]) for name in parameters}, self.l2_sp)

    @property
    def solves_head(self) -> bool:
        """Tell whether the head is solved before the first step."""
        return self.head_init == "probe" or self.head_solver != "sgd"

    @property
    def warmup_length(self) -> int:
        """Count the steps of the run's warm-up; 0 without one."""
        return self.steps_before(self.warmup_epochs) if self.warmup_epochs else self.warmup_steps or 0

    def steps_before(self, epoch: int) -> int:
        """Count the steps of the optimizer in the epochs before this one, counted from 0, of the trainer at hand.

        Raises:
            TlearnError: Nobody knows how many batches there are.
        """
        batches = self.trainer.num_training_batches
        if batches == math.inf:
            raise TlearnError(
                "the training data have no length, so nobody knows when an epoch ends: set model.warmup_steps in place "
                "of warmup_epochs, and no model.unfreeze_warmup_steps"
            )
        return steps_before(self.trainer, epoch, batches)

    def network_state(self) -> dict[str, Tensor]:
        """Return the state dict of what answers: backbone and head, without metrics; values are references."""
        parts = ("backbone.", "head.")
        return {name: value for name, value in self.state_dict().items() if name.startswith(parts)}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Key dropout to (seed, epoch, process, batch), and say once when pictures are too small for the weights.

        A resumed run then draws what the uninterrupted one would have, and worker processes change nothing.

        Raises:
            TlearnError: An option acts through a callback, and the trainer has none such.
        """
        own = self._seed + (self.current_epoch << 32) + (self.trainer.global_rank << 24) + batch_idx
        _seed_generator(self.device, own)
        if self.global_step == 0:
            self._require_callbacks()
        if self.global_step == 0 and self.native_size and self.trainer.is_global_zero:
            side = self.preprocess.image_size or min(self._shape_of_data() or batch.images.shape[-2:])
            if side < self.native_size / 2:
                log.warning(
                    "%d px pictures into a network pretrained at %d px cost much accuracy; try --model.image_size 128",
                    side,
                    self.native_size,
                )
            self.native_size = None

    def on_train_epoch_end(self) -> None:
        """Log ``train/loss`` and ``train/acc`` of the epoch."""
        self._log_epoch(self.train_metrics)

    def on_validation_epoch_end(self) -> None:
        """Log ``val/*``; every image counts once, whatever the batch size."""
        self._finish_pass("val")
        self._log_epoch(self.val_metrics)

    def on_test_epoch_end(self) -> None:
        """Log ``test/*``."""
        self._finish_pass("test")
        self._log_epoch(self.test_metrics)

    def configure_callbacks(self) -> list[Callback]:
        """Add no callback; the first hook of a run, in which those are refused that cannot work.

        Raises:
            TlearnError: There is one.
        """
        check_finders(callbacks_of(self.trainer))
        return []

    def configure_optimizers(self) -> Any:
        """Build the optimizer and its scheduler, and check what the run makes of them.

        Raises:
            TlearnError: A callback or the scheduler takes the worst value of its metric for the best, or the scheduler
                ends before the run.
        """
        configured = self.build_optimizer()
        self._given_rates = starting_rates(configured["optimizer"] if isinstance(configured, dict) else configured)
        config = configured["lr_scheduler"] if isinstance(configured, dict) else None
        if self._trainer is not None:
            schedulers = [config["scheduler"]] if config else []
            check_monitor_modes([*callbacks_of(self._trainer), *schedulers])
            data = own_data_of(self._trainer)
            self._length_is_checked = data is not None
            if data is not None:
                self._check_length(data.train_batches, config)
        return configured

    def build_optimizer(self) -> Any:
        """Build the optimizer on the groups that the rules make, frozen parameters in none of them.

        Raises:
            TlearnError: Options of the rate that exclude each other, or would do nothing.
        """
        warms_up = bool(self.warmup_steps or self.warmup_epochs)
        check_steps(self.head_solver, self.lr_interval, self._lr_scheduler is not None, warms_up)
        optimizer = built("optimizer", self._optimizer, self._groups())
        groups = optimizer.param_groups
        for group in groups:
            with_python_numbers(group)
        check_groups(groups)
        scales = [group.pop("lr_scale") for group in groups]
        scale_rates(groups, [], scales)
        if self._lr_scheduler is None:
            return optimizer
        scheduler = built("lr_scheduler", self._lr_scheduler, optimizer)
        with_python_numbers(vars(scheduler))
        check_warm_up(self.warmup_steps, self.warmup_epochs, scheduler)
        # These set all groups to rates of their own; where the user lists one for each group, those stand.
        if isinstance(scheduler, _STEPWISE_SCHEDULERS) and len(set(peak_rates(groups, [scheduler]))) == 1:
            scale_rates(groups, [scheduler], scales)
        usual = "step" if isinstance(scheduler, _STEPWISE_SCHEDULERS) else "epoch"
        config: dict[str, Any] = {"scheduler": scheduler, "interval": self.lr_interval or usual}
        if isinstance(scheduler, TorchReduceLROnPlateau):
            config["monitor"] = monitor_of(scheduler, self.lr_interval)
        return {"optimizer": optimizer, "lr_scheduler": config}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what makes the file a whole: task and class names, as plain values.

        Raises:
            TlearnError: A callback's state holds what could not be read again.
        """
        about: dict[str, Any] = {"format": 1, "task": self.task, "class_names": list(self.class_names)}
        if (data := own_data_of(self._trainer)) is not None:
            self.pictures = asdict(data.framing)
        about |= {"temperature": self.temperature, "pictures": plain(self.pictures), "rates": self.rates_used}
        about |= {"unit": [list(part) for part in self.unit]} if self.task == "regression" else {}
        progress = progress_of(self.trainer)
        checkpoint["tlearn"] = about | {"pending_metric": pending_metric(self.trainer), "progress": progress}
        if progress is not None:
            checkpoint["tlearn_train_metrics"] = self.train_metrics.sums()
        if self.start:
            checkpoint["tlearn_start"] = self.start
        make_readable(checkpoint)  # in a Trainer of the user's there may be no other look at it

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint that speaks of other classes than the data.

        Raises:
            TlearnError: Another task, or other class names; both are listed. A resume without the weight averaging that
                the checkpoint was written with.
        """
        about = checkpoint.get("tlearn")
        if about is None:
            raise TlearnError("not a checkpoint of tlearn; to start from its weights use --model.weights PATH")
        if self._trainer is not None and self._trainer.state.fn == "fit":
            self._refuse_resume(checkpoint)
            self._is_resumed = True
            prepare_resume(checkpoint)
            self._pending_sums = checkpoint.get("tlearn_train_metrics")
        self._pending_metric, self.rates_used = about["pending_metric"], about.get("rates", {})
        self.temperature, self.pictures = about.get("temperature", 1.0), about.get("pictures")
        self.answer_in(unit_in(about))
        self.start = checkpoint.get("tlearn_start", {})
        self._loaded_epochs = finished_epochs(checkpoint) if "loops" in checkpoint else 0  # none beside weights alone
        theirs = list(about["class_names"])
        if same_names(theirs, self.class_names):
            self.class_names = theirs  # as they were written first
        else:
            raise TlearnError(
                f"the checkpoint knows {len(theirs)} classes ({', '.join(theirs)}), the data have "
                f"{len(self.class_names)} ({', '.join(self.class_names)}); to start from it: --model.weights PATH"
            )

    def on_validation_start(self) -> None:
        """Refuse to validate a network that is no number, where that is all that is asked.

        Raises:
            TlearnError: A weight is NaN or infinite.
        """
        self.evaluation.begin()
        if self.trainer.state.fn == "validate":
            check_network(self.network_state(), str(self.trainer.ckpt_path or "the network"))

    def on_test_start(self) -> None:
        """Refuse to test a network that is no number.

        Raises:
            TlearnError: A weight is NaN or infinite.
        """
        self.evaluation.begin()
        check_network(self.network_state(), str(self.trainer.ckpt_path or "the network"))

    def _train_what_trains(self) -> None:
        """Lightning trains a module in the mode that it finds it in; in eval mode BatchNorm and dropout stand still."""
        if not any(parameter.requires_grad for parameter in self.parameters()):
            raise TlearnError(
                "no parameter of the network requires a gradient, as in one that load() opened; start from its file: "
                "TransferModule(..., weights=PATH)"
            )
        if not self.training:
            log.info("the module was in eval mode: it trains in train mode, but for what is frozen")
            self.train()

    def _measure_unit(self) -> None:
        data = own_data_of(self._trainer)
        if data is None:
            log.warning("values are learned as they are, without a data module of tlearn: bring them to deviation 1")
            return
        train = data.dataset("train")
        new = unit_of(train.targets[train.indices].reshape(len(train), -1), self.class_names)
        if self._unit is not None:
            change_unit(self.head, self._unit, new)
        self.answer_in(new)

    def _has_callback(self, *kinds: type[Callback]) -> bool:
        return any(isinstance(callback, kinds) for callback in callbacks_of(self.trainer))

    def _twin(self, pixels: Tensor) -> Backbone:
        """Return what computes for a backbone that never trains; outside of runs weights may change unseen."""
        kind = pixels.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        if dtype not in self._twins:
            self._twins[dtype] = folded(self.backbone, pixels, dtype)
        return self._twins[dtype]

    def _shape_of_data(self) -> tuple[int, int] | None:
        data = own_data_of(self._trainer)
        return None if data is None else data.image_shape_px

    def _live_taps_of(self, name: str) -> LiveTapsConv2d | None:
        owner = self.get_submodule(name.rpartition(".")[0])
        return owner if isinstance(owner, LiveTapsConv2d) and name.endswith(".weight") else None

    def _live(self, name: str, value: Tensor) -> Tensor:
        conv = self._live_taps_of(name)
        return value[conv.live] if conv else value

    def _load(self, weights: str, name: str, given: Statistics | None) -> None:
        new = parameters_to_vector(self.head.parameters()).detach().clone()
        loaded = load_weights(weights, name, self.backbone, self.head, self.preprocess, self.class_names, given)
        if not torch.equal(new, parameters_to_vector(self.head.parameters())):
            self._unit = AS_IT_IS  # a head that was trained
        self.native_size = loaded.native_size
        log.info(loaded.message)
        for doubt in loaded.doubts:
            log.warning(doubt)
        if self.backbone.built_for:
            self.native_size = min(self.native_size or 224, 224)  # a larger side of fine-tuning is no need of theirs
            log.info(self.backbone.built_for)

    def _warn_of_folded_norms(self) -> None:
        if not self.backbone.batch_norm_follows:
            return
        training = {name.rpartition(".")[0] for name, rule in self.rules.items() if rule.lr_scale is not None}
        parts = {path: part for path, part in self.backbone.named_modules(prefix="backbone") if path in training}
        if found := folded_norms(parts):
            log.warning(
                "%d BatchNorms (first: %s) have mean 0 and variance 1 for all channels: they were folded into the "
                "convolutions, and the network breaks as soon as they follow the batches; set --model.batch_norm fixed",
                len(found),
                found[0],
            )

    def _stage_of(self) -> dict[str, str]:
        stages = {f"backbone.{name}": self.backbone.stage_of(name) for name, _ in self.backbone.named_parameters()}
        return stages | {f"head.{name}": "head" for name, _ in self.head.named_parameters()}

    def _groups(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "params": [self.get_parameter(member) for member in members],
                "lr_scale": rule.lr_scale,
                "from_epoch": rule.from_epoch,
            }
            for name, (rule, members) in group_by_rule(self.rules).items()
        ]

    def _warmup(self, from_epoch: int) -> float:
        share = 1.0
        if steps := self.warmup_length:
            share = rising_share(self.global_step, steps)
        if from_epoch and self.unfreeze_warmup_steps:
            opened = self.steps_before(from_epoch)
            share *= rising_share(self.global_step - opened, self.unfreeze_warmup_steps)
        return share

    def _check_length(self, batches: float, config: dict[str, Any] | None) -> None:
        """Compare scheduler and warm-up with the length of the run; a trial's says nothing."""
        trainer = self.trainer
        if is_trial(trainer):
            return
        length = length_of(trainer, batches)
        lines = []
        resumed = str(trainer.ckpt_path) if trainer.ckpt_path else None
        if config is not None:
            lines += check_length(config["scheduler"], config["interval"], length, resumed)
        lines += check_warm_up_length(self.warmup_steps, self.warmup_epochs, length)
        for line in lines if trainer.is_global_zero else ():
            log.warning(line)

    def _say_what_never_opens(self) -> None:
        epochs = self.trainer.max_epochs
        for rule in dict.fromkeys(self.rules.values()):
            if epochs is not None and 0 <= epochs <= rule.from_epoch and self.trainer.is_global_zero:
                log.warning(
                    "model.unfreeze opens %s after %d epochs, this run ends after %d: it stays frozen",
                    rule.pattern,
                    rule.from_epoch,
                    epochs,
                )

    def _require_callbacks(self) -> None:
        """The command line adds these; from Python they are easily forgotten, and the option would do nothing."""
        present = {type(callback).__name__ for callback in callbacks_of(self.trainer)}
        needed = [("HeadProbeCallback", "head_init: probe", self.head_init == "probe")]
        needed += [("HeadProbeCallback", f"head_solver: {self.head_solver}", self.head_solver != "sgd")]
        needed += [("WiseFTCallback", "wise_ft", self.wise_ft)]
        for name, option, wanted in needed:
            if wanted and name not in present:
                raise TlearnError(f"model.{option} acts through tlearn.strategies.{name}; give the Trainer one")

    def _say_whose_rates_count(self) -> None:
        """A Trainer puts the checkpoint's optimizer over the one that was built; the command line has refused that."""
        if self._is_resumed and not self.finds_rates and self.trainer.is_global_zero:
            told = rates_that_give_way(self._given_rates, starting_rates(self.trainer.optimizers[0]))
            if told:
                log.warning("%s", told)
        self._is_resumed = False

    def _refuse_resume(self, checkpoint: dict[str, Any]) -> None:
        if self.head_solver != "sgd":
            raise TlearnError(
                f"model.head_solver {self.head_solver}: the head in the checkpoint is solved and there is nothing to "
                "resume; test it, or solve anew without --ckpt_path"
            )
        was, averages = "current_model_state" in checkpoint, self._has_callback(WeightAveraging)
        if was and not averages:
            raise TlearnError(
                "the checkpoint holds averaged weights; a resume needs the callback that averages: "
                "--trainer.callbacks+=EMAWeightAveraging, as before"
            )
        if averages and not was:
            raise TlearnError(
                "the checkpoint was written without averaging; resume without it, or start anew from its weights: "
                "--model.weights PATH"
            )

    def _evaluate(self, metrics: EpochMetrics, batch: Batch) -> dict[str, Tensor]:
        output, wanted = self(batch.images), self.learned(batch.targets)
        metrics.update(output, compute_loss(self.task, output, wanted), wanted)
        answer = self.unit.restored(output) if self.task == "regression" else output
        self.evaluation.add(answer, batch)
        return {"output": answer}

    def _finish_pass(self, split: Literal["val", "test"]) -> None:
        """Gather the answers, fit the temperature in the validation of a fit, and log how far they can be believed."""
        verb = self.trainer.state.fn
        if self.trainer.sanity_checking:
            return
        found = self.evaluation.finish(split, self.current_epoch + 1 if verb == "fit" else self._loaded_epochs)
        if found is None or self.task == "regression":
            return
        if verb == "fit":
            self.temperature = fit_temperature(self.task, found.logits, found.targets)
            self.log("val/temperature", self.temperature)
        if verb != "validate":  # which shows the metrics alone
            for name, value in calibration_errors(self.task, found, self.temperature).items():
                self.log(name, value)

    def _log_epoch(self, metrics: EpochMetrics) -> None:
        if not self.trainer.sanity_checking:
            found = metrics.compute()
            if self.trainer.state.fn != "fit":
                check_loss(float(found[f"{metrics.stage}/loss"]), str(self.trainer.ckpt_path or "the network"))
            for name, value in found.items():
                self.log(name, value, prog_bar=name in ("val/acc", "val/mae", "val/f1"))
        metrics.reset()


def model_of(trainer: Trainer) -> TransferModule:
    """Return the network of a run.

    Raises:
        TlearnError: It is none of tlearn's.
    """
    module = trainer.lightning_module
    if not isinstance(module, TransferModule):
        raise TlearnError(f"expected a tlearn.TransferModule in this run, got {type(module).__name__}")
    return module


def _seed_generator(device: torch.device, seed: int) -> None:
    """Seed the one generator that dropout draws from.

    Not ``torch.manual_seed``: it seeds all kinds of devices, and for each that is absent queues a call with its stack
    trace, a third of a head step, in a list that grows for as long as the process lives.
    """
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    elif device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def _default_of(option: str) -> Any:
    return inspect.signature(TransferModule.__init__).parameters[option].default


def _forget_twins(module: TransferModule, _: Any) -> None:
    module._twins.clear()


def _as_they_are(features: Tensor) -> Tensor:
    return features


def _default_names(task: Task, num_classes: int) -> list[str]:
    return [] if task == "regression" else [str(number) for number in range(num_classes)]
