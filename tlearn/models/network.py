"""The network: preprocessing, backbone and head as one whole, in plain torch.

Letters: B images, C channels of them, H and W pixels, K classes, D features.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from tlearn.base.types import Task
from tlearn.models.about import About
from tlearn.models.backbones.backbone import Backbone
from tlearn.models.backbones.cut import Border, cut_behind
from tlearn.models.backbones.folding import folded
from tlearn.models.backbones.input_channels import RGB
from tlearn.models.backbones.live_taps import LiveTapsConv2d, leave_out_padding, put_back
from tlearn.models.backbones.timm_backbone import build_backbone
from tlearn.models.calibration import AS_TRAINED
from tlearn.models.ensembles.build import build_ensemble
from tlearn.models.freezing import hold_frozen_in_eval
from tlearn.models.heads import build_head
from tlearn.models.losses import answers_of
from tlearn.models.options import BatchNorm, NetworkOptions, options_from
from tlearn.models.preprocess import UNKNOWN, Preprocess
from tlearn.models.state import evaluating
from tlearn.models.target_unit import AS_IT_IS, TargetUnit
from tlearn.models.weights.loading import load_weights
from tlearn.models.weights.statistics import Statistics, given_statistics

log = logging.getLogger(__name__)

PARTS = ("backbone.", "head.")


class Network(nn.Module):
    """A backbone with a head for your classes, from uint8 pixels to an answer.

    Attributes:
        options: What it was built from.
        task: What the head gives: K class scores, of which one or (``multilabel``) any number hold, or K values.
        class_names: Names of the K classes, or of a regression's columns.
        num_classes: The number of classes; of a regression that of its columns, at least 1.
        num_outputs: K, what the head gives.
        native_size: Side in pixels that the weights were trained at; ``None`` where nobody knows.
        starts_at_random: There are no weights to transfer from.
        calibration: What turns logits into probabilities; as trained unless a fit has found better.
        border: Where maps come from that stand in place of images, in a run that has them; ``None`` otherwise.
        pictures: How picture files become what the network was trained on, see `tlearn.data.Framing`; ``None`` where
            nobody has said.
    """

    def __init__(
        self, options: NetworkOptions, batch_norm: BatchNorm = "follows", own: nn.Module | None = None
    ) -> None:
        """Build the parts and load the weights.

        Args:
            options: What to build.
            batch_norm: ``follows`` the batches where a stage trains, or keeps its statistics ``fixed``.
            own: The user's own backbone, where it is at hand; else it is made by its name.

        Raises:
            TlearnError: A name that does not exist, or weights that cannot be had.
        """
        super().__init__()
        self.options = options
        self.task: Task = options.task
        self.num_classes, self.num_outputs, self.class_names = options.num_classes, options.num_outputs, options.names
        channels = options.in_channels
        self.backbone, self.head = build_ensemble(options) if options.ensemble else _build_parts(options, own)
        given = given_statistics(options.pixel_mean, options.pixel_std, channels)
        known = given or (self.backbone if channels == RGB else None)
        statistics = (known.mean, known.std) if known else ([UNKNOWN] * channels,) * 2
        self.preprocess = Preprocess(options.image_size, *statistics)
        if self.backbone.is_plain:
            self.backbone.to(memory_format=torch.channels_last)
        self.backbone.batch_norm_follows = batch_norm == "follows"
        self.backbone.train()
        self.native_size: int | None = None
        self.calibration = AS_TRAINED
        self.pictures: dict[str, Any] | None = None
        self.border: Border | None = None
        self._unit: TargetUnit | None = None  # until there are values, or a head that was trained
        self._computes_fast, self._copies = False, dict[torch.dtype | None, Backbone]()
        self.register_load_state_dict_post_hook(_forget_copies)  # type: ignore[no-untyped-call]
        self.starts_at_random = options.weights is None
        if options.weights is not None:
            self._load(options.weights, given)

    def forward(self, images: Tensor) -> Tensor:
        """Turn uint8 images (B, C, H, W), features (B, D) or maps of the border into logits (B, K), or values (B, K).

        The head computes in float32 in any mixed precision: casting its weights takes longer than its product.
        """
        features = images if images.ndim == 2 else self.features(images)
        with torch.autocast(features.device.type, enabled=False):
            output: Tensor = self.head(features.to(next(self.head.parameters()).dtype))
        return output

    def features(self, images: Tensor) -> Tensor:
        """Turn uint8 images (B, C, H, W), or floats, the border's maps (B, ...), into what the head sees, (B, D)."""
        if self.border is not None and images.is_floating_point():
            return cut_behind(self.backbone, self.border.stage).after(images.to(self.border.dtype))
        pixels = self.preprocess(images)
        network = self._fast_copy(pixels) if self._computes_fast else self.backbone
        kind = pixels.device.type
        casts = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)  # the device "meta" never
        if network is self.backbone and network.is_plain and casts:
            pixels = pixels.to(torch.get_autocast_dtype(kind))  # its first layer would, and keep both alive
        features: Tensor = network(pixels)
        return features

    def answer(self, images: Tensor) -> Tensor:
        """Turn uint8 images (B, C, H, W) into float32 probabilities (B, K), or values (B, K) in the user's unit."""
        return self.answer_of(self(images))

    def answer_of(self, output: Tensor) -> Tensor:
        """Turn what the head gives, logits (B, K) or values (B, K), into the answer, as `answer` returns it."""
        return self.unit.restored(answers_of(self.task, output.float(), self.calibration))

    def in_unit(self, output: Tensor) -> Tensor:
        """Return logits (B, K) as they are, and values (B, K) in the user's unit."""
        return self.unit.restored(output.float()) if self.task == "regression" else output.float()

    @property
    def temperature(self) -> float:
        """Return what logits are divided by before they become probabilities."""
        return self.calibration.temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        self.calibration = self.calibration._replace(temperature=value)

    @property
    def unit(self) -> TargetUnit:
        """Return the unit of a regression's values: what the head gives has mean 0 and deviation 1 of these."""
        return self._unit or AS_IT_IS

    def answer_in(self, unit: TargetUnit) -> None:
        """Answer in this unit from now on, whatever the head has learned so far."""
        self._unit = unit

    def train(self, mode: bool = True) -> Self:
        """Set the mode, but keep what is frozen in eval mode, so that its BatchNorm statistics cannot move."""
        super().train(mode)
        hold_frozen_in_eval(self)
        return self

    def network_state(self) -> dict[str, Tensor]:
        """Return the state dict of what answers: backbone and head, without metrics; values are references."""
        return {name: value for name, value in self.state_dict().items() if name.startswith(PARTS)}

    def stage_names(self) -> dict[str, str]:
        """Return the stage of each parameter by name, ``stem``, ``layer1``, ..., ``head``, in the model's order."""
        stages = {f"backbone.{name}": self.backbone.stage_of(name) for name, _ in self.backbone.named_parameters()}
        return stages | {f"head.{name}": "head" for name, _ in self.head.named_parameters()}

    def restore(self, about: About) -> None:
        """Take over what a checkpoint says of its network.

        Raises:
            TlearnError: It speaks of another task or of other classes; both are named. Nothing is changed then.
        """
        about.check_for(self.task, self.class_names)
        self.calibration, self.pictures = about.calibration, about.pictures
        self.answer_in(about.unit)
        self.class_names = about.class_names  # as they were written first

    def compute_fast(self, shape: tuple[int, int] | None, is_fixed: bool, is_copied: bool) -> None:
        """Compute faster until `compute_plainly`, while weights change by an optimizer or not at all.

        A backbone that never trains has copies in which BatchNorm is folded into the convolutions. In one that trains,
        the weights that meet nothing but padding are no parameters meanwhile.

        Args:
            shape: H and W of the pictures, where they are known.
            is_fixed: The backbone never trains.
            is_copied: Somebody holds a copy of it with whole kernels, as averaging callbacks do.
        """
        is_plain = self.backbone.is_plain
        self._computes_fast = is_fixed and is_plain
        if shape is not None and is_plain and not is_fixed and not is_copied:
            mean = self.preprocess.mean  # of as many channels as the pictures have; it may not be known yet
            pixels = self.preprocess.sized(torch.zeros(1, len(mean), *shape, dtype=torch.uint8, device=mean.device))
            with evaluating(self):  # so that no BatchNorm statistic moves
                leave_out_padding(self.backbone, pixels.to(mean.dtype))
            for part in self.backbone.modules():  # made while all was in eval mode
                if isinstance(part, LiveTapsConv2d):
                    part.train(self.backbone.training)
            hold_frozen_in_eval(self)

    def compute_plainly(self) -> None:
        """Make the network a plain one again, whose weights anybody may change."""
        self._computes_fast = False
        self._copies.clear()
        put_back(self.backbone)

    def left_out(self, name: str) -> int:
        """Count the weights of a parameter's tensor that meet nothing but padding, and are no parameter."""
        conv = self._live_taps_of(name)
        return conv.left_out if conv else 0

    def live_part(self, name: str, value: Tensor) -> Tensor:
        """Return what of a whole tensor belongs to the parameter of this name, as `left_out` leaves it."""
        conv = self._live_taps_of(name)
        return value[conv.live] if conv else value

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """Move or cast; copies that compute fast are no parts, and would stay where they were."""
        self._copies.clear()
        move: Any = super()._apply  # untyped in torch
        moved: Self = move(fn, recurse)
        return moved

    def _live_taps_of(self, name: str) -> LiveTapsConv2d | None:
        owner = self.get_submodule(name.rpartition(".")[0])
        return owner if isinstance(owner, LiveTapsConv2d) and name.endswith(".weight") else None

    def _fast_copy(self, pixels: Tensor) -> Backbone:
        kind = pixels.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        if dtype not in self._copies:
            self._copies[dtype] = folded(self.backbone, pixels, dtype)
        return self._copies[dtype]

    def _load(self, weights: str, given: Statistics | None) -> None:
        new = parameters_to_vector(self.head.parameters()).detach().clone()
        parts = (self.options.backbone, self.backbone, self.head, self.preprocess, self.class_names)
        loaded = load_weights(weights, *parts, given)
        if not torch.equal(new, parameters_to_vector(self.head.parameters())):
            self._unit = AS_IT_IS  # a head that was trained
        self.native_size = loaded.native_size
        log.info(loaded.message)
        for doubt in loaded.doubts:
            log.warning(doubt)
        if self.backbone.built_for:
            self.native_size = min(self.native_size or 224, 224)  # a larger side of fine-tuning is no need of theirs
            log.info(self.backbone.built_for)


def _build_parts(options: NetworkOptions, own: nn.Module | None) -> tuple[Backbone, nn.Module]:
    shape = options.tap, options.image_size, options.backbone_args
    backbone = build_backbone(options.backbone, *shape, options.in_channels, own)
    hidden = options.head_hidden or ()
    return backbone, build_head(backbone.num_features, options.num_outputs, hidden, options.head_dropout)


def network_in(checkpoint: Mapping[str, Any], own: nn.Module | None = None) -> Network:
    """Rebuild the network that a checkpoint of tlearn holds.

    Args:
        checkpoint: Its content.
        own: The user's own backbone, where it is at hand.

    Raises:
        TlearnError: It is not tlearn's, or speaks of other classes than its own options.
    """
    about = About.in_checkpoint(checkpoint)
    options = options_from(NetworkOptions, checkpoint["hyper_parameters"])
    network = Network(options, own=own)
    network.load_state_dict(checkpoint["state_dict"])
    network.restore(about)
    return network


def _forget_copies(network: Network, _: Any) -> None:
    network._copies.clear()
