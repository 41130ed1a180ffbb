"""Any ``torch.nn.Module`` of the user's own as a backbone, with its children as stages. D features, T tokens."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tlearn.base.errors import TlearnError, one_line
from tlearn.base.plain_values import plain_values
from tlearn.models.backbones.backbone import TIMM, Backbone, Watch, unwatched
from tlearn.models.backbones.families import check_taps
from tlearn.models.backbones.live_taps import replace_part
from tlearn.models.trust import import_own, is_dotted_name

_TRIED_PX = (64, 224, 32)  # sides of the picture that is tried where model.image_size does not say one
_RESERVED = ("backbone", "head")  # what rules call the whole and the part behind it


class OwnBackbone(Backbone):
    """A module that turns pictures float (B, C, H, W) into features (B, D), tokens (B, T, D) or a map (B, D, h, w).

    Its stages are its children in their order; a child without parameters belongs to the stage before it. A module may
    name them itself by an attribute ``stages``: a mapping of names to the path, or the paths, of its parts. Stages can
    be tapped if the parts, run one after the other, give what the module gives; a last ``flatten`` does not matter.

    Args:
        network: The module, without its classifier. It is trained itself; with an early tap a copy of its first parts.
        name: Of the module, for messages.
        tap: Stage or stages whose pooled output is the feature; ``None`` is what the module gives.
        image_size: Side in pixels of the pictures, where it is known.
        in_channels: C.

    Raises:
        TlearnError: The module does not take such pictures or gives something else, or a stage cannot be tapped.
    """

    is_plain = False

    def __init__(
        self, network: nn.Module, name: str, tap: str | list[str] | None, image_size: int | None, in_channels: int
    ) -> None:
        super().__init__()
        self.network_, self.name, self.in_channels = network, name, in_channels
        layout = _stages(network, name)
        self._measured_px = self._size_that_fits(image_size)
        in_row = self._runs_in_row(layout)
        self.tappable = tuple(layout) if in_row else tuple(layout)[-1:]
        if tap is not None and not in_row and (tap if isinstance(tap, list) else [tap]) != [*self.tappable]:
            raise TlearnError(
                f"model.tap {tap}: the parts of {name} do not run one after the other, so its stages cannot be tapped; "
                "drop it, or let the module itself end there"
            )
        self.taps = check_taps(tap, tuple(layout))
        self._cuts = self.taps != tuple(layout)[-1:]
        self.stages = tuple(islice(layout, 1 + list(layout).index(self.taps[-1])))
        self.tappable = tuple(stage for stage in self.tappable if stage in self.stages)
        self.layout = {stage: layout[stage] for stage in self.stages}
        if len(self.stages) < len(layout):
            self.network_ = deepcopy(network)
            for path in (path for stage, paths in layout.items() if stage not in self.layout for path in paths):
                replace_part(self.network_, path, nn.Identity())
        self.measure_widths(self._measured_px)

    @property
    def network(self) -> nn.Module:
        """Return the user's module, with its own names."""
        return self.network_

    def pooled(self, x: Tensor, watch: Watch = unwatched) -> list[Tensor]:
        """Turn float (B, C, H, W) into the pooled output of each tap, (B, width) each.

        Raises:
            TlearnError: The module does not take pictures of this size.
        """
        x = x.contiguous()  # a plain module may call view() on what comes out
        try:
            if not self._cuts:
                return [_as_vectors(watch(self.taps[0], self.network_(x)))]
            return self._one_by_one(x, watch)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if max(x.shape[-2:]) == self._measured_px:
                raise
            raise TlearnError(
                f"{self.name} does not take pictures of {x.shape[-2]} x {x.shape[-1]} px ({one_line(error, 120)}); set "
                f"model.image_size to {self._measured_px}"
            ) from error

    def as_map(self, tap: str, x: Tensor, size_px: tuple[int, int]) -> Tensor:
        """Return a map as it is.

        Raises:
            TlearnError: It is none.
        """
        if x.ndim != 4:
            raise TlearnError(f"{self.name} gives no map at {tap} that could be shown")
        return x

    def attention(self) -> dict[str, str]:
        """Return nothing: how a module of the user's reads its tokens is not known."""
        return {}

    def stage_of(self, parameter: str) -> str:
        """Name the stage that a parameter of this module belongs to; what stands in none is the first one's."""
        name = parameter.removeprefix("network_.")
        for stage, paths in self.layout.items():
            if any(not path or name.startswith(f"{path}.") for path in paths):
                return stage
        return self.stages[0]

    def _one_by_one(self, x: Tensor, watch: Watch) -> list[Tensor]:
        pooled = []
        for stage, paths in self.layout.items():
            for path in paths:
                x = self.network_.get_submodule(path)(x)
            if stage in self.taps:
                pooled.append(_as_vectors(watch(stage, x)))
        return pooled

    @torch.no_grad()
    def _size_that_fits(self, image_size: int | None) -> int:
        self.eval()  # so that no BatchNorm statistic moves
        fault: Exception | None = None
        for size_px in [image_size] if image_size else _TRIED_PX:
            try:
                given: Any = self.network_(torch.zeros(1, self.in_channels, size_px, size_px))
            except Exception as error:  # the user's own code
                fault = fault or error
                continue
            if not isinstance(given, Tensor) or given.ndim not in (2, 3, 4):
                told = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
                raise TlearnError(
                    f"{self.name} gives {told}; expected features (B, D), tokens (B, T, D) or a map (B, D, h, w)"
                )
            return size_px
        sizes = image_size or ", ".join(map(str, _TRIED_PX))
        raise TlearnError(
            f"{self.name} takes no pictures of {self.in_channels} channels and {sizes} px "
            f"({type(fault).__name__}: {one_line(fault or '', 120)}); set model.image_size or model.in_channels"
        ) from fault

    @torch.no_grad()
    def _runs_in_row(self, layout: Mapping[str, tuple[str, ...]]) -> bool:
        size_px = self._measured_px
        x = torch.linspace(-2, 2, self.in_channels * size_px**2).view(1, self.in_channels, size_px, size_px)
        wanted = _as_vectors(self.network_(x))
        try:
            for path in (path for paths in layout.values() for path in paths):
                x = self.network_.get_submodule(path)(x)
            x = _as_vectors(x)
        except Exception:  # a part that takes something else than what the part before it gives
            return False
        return x.shape == wanted.shape and torch.allclose(x, wanted, rtol=1e-4, atol=1e-6)


def is_own(name: str) -> bool:
    """Tell whether a backbone is named by an import path, as torchvision's and timm's never are."""
    return "." in name and not name.startswith(TIMM)


def name_and_network(backbone: str | nn.Module) -> tuple[str, nn.Module | None]:
    """Return the name of a backbone, and the network where it is one of the user's own."""
    if isinstance(backbone, nn.Module):
        return name_of(backbone), backbone
    (name,) = plain_values(backbone=backbone)
    return name, None


def name_of(network: nn.Module) -> str:
    """Return the import path of a module's class."""
    return f"{type(network).__module__}.{type(network).__qualname__}"


def own_network(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Make the module that an import path of the user's stands for: a function, a class, or a module already made.

    Args:
        name: ``my_package.make_net``.
        arguments: ``model.backbone_args``.

    Raises:
        TlearnError: The name is not trusted, cannot be imported, or gives no module.
    """
    again = "from Python give the module itself: TransferModule(backbone=...), tlearn.load(RUN, backbone=...)"
    if not is_dotted_name(name) or name.startswith("__main__."):
        raise TlearnError(f"model.backbone {name} was an object that no name leads to; {again}")
    found = import_own(name, "--model.backbone", again)
    if isinstance(found, nn.Module):
        return deepcopy(found)
    try:
        made = found(**arguments)
    except Exception as error:  # the user's own code
        raise TlearnError(
            f"model.backbone {name} cannot be made ({type(error).__name__}: {one_line(error, 160)}); it is called with "
            f"model.backbone_args; {again}"
        ) from error
    if not isinstance(made, nn.Module):
        raise TlearnError(f"model.backbone {name}: expected a torch.nn.Module, got a {type(made).__name__}")
    return made


def _stages(network: nn.Module, name: str) -> dict[str, tuple[str, ...]]:
    named = getattr(network, "stages", None)
    if isinstance(named, Mapping):
        stages = {str(stage): (paths,) if isinstance(paths, str) else tuple(paths) for stage, paths in named.items()}
        there = dict(network.named_modules())
        missing = [path for paths in stages.values() for path in paths if path not in there]
        if missing or not stages or any(stage in _RESERVED for stage in stages):
            wrong = f"it has no part {missing[0]}" if missing else "expected names other than backbone and head"
            raise TlearnError(f"{name}.stages: {wrong}; map the name of each stage to the path of its part")
        return stages
    stages, numbered = {}, 0
    for path, part in _children(network).items():
        if stages and next(part.parameters(), None) is None:
            last = next(reversed(stages))
            stages[last] = (*stages[last], path)
            continue
        numbered += 1
        short = path.rpartition(".")[2]
        stages[f"stage{numbered}" if short.isdigit() or not short else _free(short)] = (path,)
    return stages


def _children(network: nn.Module) -> dict[str, nn.Module]:
    """Return the parts of a module by path; where there is but one, its own, for it is a wrapper."""
    prefix, inner = "", network
    while len(children := dict(inner.named_children())) == 1:
        name = next(iter(children))
        if not list(children[name].children()):
            break
        prefix, inner = f"{prefix}{name}.", children[name]
    return {f"{prefix}{name}": child for name, child in children.items()} or {"": network}


def _free(name: str) -> str:
    return f"own_{name}" if name in _RESERVED else name


def _as_vectors(x: Tensor) -> Tensor:
    if x.ndim == 4:
        return F.adaptive_avg_pool2d(x, 1).flatten(1)
    return x.mean(dim=1) if x.ndim == 3 else x
