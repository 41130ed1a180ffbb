"""The LightningModule: a network that Lightning trains. B images, K classes, H and W pixels."""

from __future__ import annotations

import inspect
from dataclasses import asdict
from typing import Any, Literal

import torch
from jsonargparse.typing import ClosedUnitInterval, NonNegativeInt, PositiveFloat, PositiveInt
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import StochasticWeightAveraging, WeightAveraging
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import nn

from tlearn.base.errors import TlearnError
from tlearn.base.types import Batch, Task
from tlearn.models.backbones.own_backbone import name_and_network
from tlearn.models.distillation.options import DistillOptions
from tlearn.models.distillation.teacher import Distillation
from tlearn.models.freezing import FreezeSchedule
from tlearn.models.losses import Objective
from tlearn.models.members import members_beside
from tlearn.models.options import FreezeOptions, LossOptions, NetworkOptions, options_from
from tlearn.training.checkpoint_content import keep_plain
from tlearn.training.evaluation import Evaluation
from tlearn.training.exact_resume import window_in
from tlearn.training.lean_lightning import begin_averages, place_averages, seed_generator
from tlearn.training.optimized import OptimizedModule
from tlearn.training.optimizer import SharedFunction, tutorial_optimizer
from tlearn.training.options import CacheOptions, HeadStartOptions, RateOptions
from tlearn.training.remarks import check_served, check_suits, warn_of_folded_norms, warn_of_small_pictures
from tlearn.training.run_checks import check_lengths
from tlearn.training.typed import callbacks_of, labels_of, own_data_of, shape_of_data

_AVERAGING = (WeightAveraging, StochasticWeightAveraging)
_HIDDEN = ["backbone", "optimizer", "lr_scheduler", "weights"]  # from the hyper-parameters in a checkpoint


class TransferModule(OptimizedModule):
    """A pretrained network that learns your classes.

    Args:
        num_classes: K; linked to the data by the command line.
        class_names: K names, stored in the checkpoint; linked to the data by the command line.
        task: What the head gives: K class scores, of which one or (``multilabel``) any number hold, or values, of which
            ``class_names`` names K columns where there are several. Linked to the data by the command line.
        backbone: A torchvision classifier (ResNet, ResNeXt, Wide ResNet, RegNet, ConvNeXt, Swin, EfficientNet,
            MobileNet, ViT), or ``timm/NAME``; ``help`` lists them. Or your own: ``my_package.make_net``, the import
            path of a function that makes it; from Python the module itself.
        weights: Where the weights come from: ``DEFAULT`` (torchvision's best for ImageNet), a torchvision weights name,
            the path of a checkpoint or state dict of anyone's, ``FILE::KEY`` for one part of it, or ``null`` for random
            weights. A head for the same classes is loaded too, any other starts new.
        image_size: Side in pixels that the network sees; ``null`` is the data's own. Networks trained at 224 px gain
            much from enlarged small pictures. A ViT is built for it, and its position embeddings are resampled.
        in_channels: C, the channels of the pictures; weights for three are adapted to other numbers as timm does.
        tap: Stage, or list of stages side by side, whose pooled output feeds the head; ``null`` is the last. Later
            stages are not built. For little data unlike ImageNet.
        backbone_args: Arguments of a timm network, or of your own function, e.g. ``{pad_type: same}`` for weights that
            TensorFlow trained, ``{drop_path_rate: 0.1}``.
        pixel_mean: What the weights want to see subtracted from each channel scaled to [0, 1], where their file does
            not say; ``null`` is what is known of them. Together with ``pixel_std``.
        pixel_std: What they want to see the rest divided by.
        head_hidden: Widths of the head's hidden layers; empty is one linear layer.
        head_dropout: Share of the head's inputs dropped while training.
        freeze_backbone: The network is a fixed feature extractor, only the head trains.
        freeze_until: Freeze the stages up to and including this one: ``stem``, ``layer1`` to ``layer4`` in a ResNet.
        lr_scales: Stage or pattern to factor on the learning rate, e.g. ``{backbone: 0.1}``.
        rules: The whole table in place of the shorthands above: pattern to factor, ``null`` for frozen; first wins.
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
        feature_cache: ``auto`` computes what is frozen once, keeps its features, or maps if later stages train, under
            ``.cache/tlearn`` and trains the rest on them; ``refresh`` computes them anew, ``off`` never caches.
        feature_cache_gb: Gigabytes that a run may add in maps (80,000 of 14 x 14 x 256 in bf16); else none are kept.
        cache_views: How many forms of each training image the cache keeps where images are augmented, the first as it
            is; each epoch shows one of them. 1 keeps none, and augmented images run through the network every time.
        head_solver: ``sgd`` trains the head by the optimizer. ``lbfgs`` (logistic regression) and ``ridge`` (least
            squares) solve a linear head on a frozen backbone in seconds, with the penalty that validation likes best;
            one epoch follows, without steps, that shows what it reaches.
        optimizer: Gets the parameter groups that the rules make; the default is the tutorial's.
        lr_scheduler: None by default, as in the tutorial.
        lr_interval: When the scheduler steps, and so what its numbers count: each ``epoch`` or each ``step`` of the
            optimizer; ``null`` is ``step`` for OneCycleLR and CyclicLR, made for it, and ``epoch`` for all others.
        warmup_steps: Steps in which all learning rates rise in a straight line to their own; no scheduler sees it.
        warmup_epochs: The same, in epochs.
        ensemble: Runs, names of runs or checkpoints, at most 8, whose networks answer together: probabilities, or
            values, are averaged. Nothing trains; one epoch validates and calibrates them together. The network's
            options are those of its members, and no other option that makes or trains one may be given.
        distill_from: A run, name of a run or checkpoint, also an ensemble's, whose answers to the very same images are
            learned beside the labels (Hinton et al., 2015, arXiv 1503.02531).
        distill_weight: The teacher's share of the loss; at 1 labels count for nothing; ``null`` is 0.9.
        distill_temperature: What the logits of both are divided by, that small probabilities teach too; ``null`` is 4.

    Raises:
        TlearnError: A name that does not exist, weights that cannot be had, nothing left to train, or options that
            exclude each other.
    """

    def __init__(
        self,
        num_classes: int,
        class_names: list[str] | None = None,
        task: Task = "classification",
        backbone: str | nn.Module = "resnet18",
        weights: str | None = "DEFAULT",
        image_size: PositiveInt | None = None,
        in_channels: PositiveInt = 3,
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
        feature_cache_gb: PositiveFloat = 8.0,
        cache_views: PositiveInt = 1,
        head_solver: Literal["sgd", "lbfgs", "ridge"] = "sgd",
        optimizer: OptimizerCallable = lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9),
        lr_scheduler: LRSchedulerCallable | None = None,
        lr_interval: Literal["epoch", "step"] | None = None,
        warmup_steps: PositiveInt | None = None,
        warmup_epochs: PositiveInt | None = None,
        ensemble: list[str | dict[str, Any]] | None = None,
        distill_from: str | None = None,
        distill_weight: PositiveFloat | None = None,
        distill_temperature: PositiveFloat | None = None,
    ) -> None:
        name, own = name_and_network(backbone)
        given = locals() | {"backbone": name}
        members = None if ensemble is None else members_beside(given, _parameters())
        if members is not None:
            given |= {**members.options(), "freeze_backbone": True}
            own = None
        network, freeze = options_from(NetworkOptions, given), options_from(FreezeOptions, given)
        loss, head_start = options_from(LossOptions, given), options_from(HeadStartOptions, given)
        distill = options_from(DistillOptions, given).settled_for(network.task)
        loss.check_for(network)
        super().__init__(network, freeze.batch_norm, own)
        self.save_hyperparameters(ignore=_HIDDEN, logger=False)
        keep_plain(self.hparams, class_names=network.class_names, num_classes=network.num_classes)
        followed = {key: getattr(network, key) for key in ("backbone", "image_size", "in_channels", "ensemble")}
        self.hparams.update(followed, **asdict(distill), weights=None)  # a checkpoint brings its own weights
        self.rates, self.caching = options_from(RateOptions, given), options_from(CacheOptions, given)
        self.measure(Objective(network.task, loss, network.num_classes), Distillation(distill))
        if members is not None:
            members.fill(self)
        # A lambda has no name that a pickle could hold; as a default it shows jsonargparse the class and its rate.
        self._optimizer = SharedFunction(tutorial_optimizer if optimizer is _default_of("optimizer") else optimizer)
        self._lr_scheduler = None if lr_scheduler is None else SharedFunction(lr_scheduler)
        self._decide_what_trains(freeze, head_start)

    def _decide_what_trains(self, freeze: FreezeOptions, head_start: HeadStartOptions) -> None:
        self.start, self.rates_used = {}, {}
        self.freezing = FreezeSchedule(freeze, self.stage_names(), self.backbone.stages)
        self.head_start = head_start
        self.head_start.check_for(self.options, self.freezing.trained_by, self._lr_scheduler is not None)
        self.distillation.options.check_steps(self.without_steps)
        self.open_stages(epoch=0)
        if not self.starts_at_random:
            warn_of_folded_norms(self.backbone, self.rules)

    def setup(self, stage: str) -> None:
        """Meet the pictures, which may be refused, and compute as fast as pictures of the data's size allow."""
        self.compute_plainly()  # a run that failed may have left the network as it was in it
        self.meet_pictures()
        # Averaging callbacks have copied the whole kernels by now.
        is_copied = self._trainer and any(isinstance(each, _AVERAGING) for each in callbacks_of(self._trainer))
        self.compute_fast(shape_of_data(self._trainer), is_fixed=not self.backbone_trains, is_copied=bool(is_copied))

    def teardown(self, stage: str) -> None:
        """Make the network a plain one again."""
        self.compute_plainly()

    def on_fit_start(self) -> None:
        """Remember the run's seed, weigh the classes, and measure pixels and the unit of a regression's values.

        Raises:
            TlearnError: ``l2_sp`` has nothing to pull towards, nothing can train, or values are constant.
        """
        self._seed, self.evaluation = torch.initial_seed() % 2**61, Evaluation()
        check_suits(self, own_data_of(self.trainer))
        self.distillation.check_names(self)
        self.learn_of_pictures()
        self.measure_pixels()
        self._train_what_trains()
        self._say_what_never_opens()
        if self.without_steps:  # the command line has set it so; a Trainer of the user's has not
            self.trainer.fit_loop.max_epochs = self.trainer.check_val_every_n_epoch = 1
        if self.head_start.l2_sp and self.starts_at_random and not self.trainer.ckpt_path:
            raise TlearnError("model.l2_sp pulls towards pretrained weights, but model.weights is null; name some")
        if self.objective.is_balanced:
            self.objective.balance(labels_of(self.trainer))
        if self.task == "regression" and not self.trainer.ckpt_path:  # a resumed run goes on in its unit
            self.measure_unit()

    def on_train_start(self) -> None:
        """Finish what the checkpoint that is resumed could not, and keep the starting weights where they are needed."""
        self._say_whose_rates_count()
        self.finish_resume()
        self.trainer.accumulate_grad_batches = window_in(self.trainer, self.current_epoch)
        if not self._length_is_checked:
            configs: list[Any] = self.trainer.lr_scheduler_configs
            batches = self.trainer.num_training_batches
            check_lengths(self.trainer, batches, vars(configs[0]) if configs else None, self.rates)
        place_averages(callbacks_of(self.trainer), self)
        if not self.global_step:
            begin_averages(callbacks_of(self.trainer), self)
        self.open_stages(self.current_epoch)  # a resume inside an epoch leaves on_train_epoch_start out
        if self.head_start.keeps_start:
            start = self.start or {name: value.clone() for name, value in self.network_state().items()}
            self.start = {name: value.to(self.device) for name, value in start.items()}

    def on_train_epoch_start(self) -> None:
        """Open the stages that the schedule starts in this epoch; whatever else touched it, frozen stays frozen."""
        self.open_stages(self.current_epoch)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Key dropout to (seed, epoch, process, batch), and say once what would do nothing or cost accuracy.

        A resumed run then draws what the uninterrupted one would have, and worker processes change nothing.

        Raises:
            TlearnError: An option acts through a callback, and the trainer has none such.
        """
        self.seed_step(batch_idx)
        if self.global_step == 0 and batch_idx == 0:
            check_served(self.trainer, self.head_start, self.caching, self.backbone_trains)
            side_px = self.preprocess.image_size or min(shape_of_data(self._trainer) or batch.images.shape[-2:])
            if self.trainer.is_global_zero:
                warn_of_small_pictures(side_px, self.native_size)

    def seed_step(self, batch_idx: int) -> None:
        """Seed what dropout draws in a batch of the epoch at hand."""
        own = self._seed + (self.current_epoch << 32) + (self.trainer.global_rank << 24) + batch_idx
        seed_generator(self.device, own)


def model_of(trainer: Trainer) -> TransferModule:
    """Return the network of a run.

    Raises:
        TlearnError: It is none of tlearn's.
    """
    module = trainer.lightning_module
    if not isinstance(module, TransferModule):
        raise TlearnError(f"expected a tlearn.TransferModule in this run, got {type(module).__name__}")
    return module


def _default_of(option: str) -> Any:
    return _parameters()[option]


def _parameters() -> dict[str, Any]:
    """Return the options with their defaults."""
    return {name: each.default for name, each in inspect.signature(TransferModule.__init__).parameters.items()}
