"""A network in two halves, cut behind a stage: what is frozen, and what goes on from its map. B images."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from tlearn.base.errors import TlearnError
from tlearn.models.backbones.backbone import Backbone, TorchvisionBackbone
from tlearn.models.backbones.timm_backbone import TimmBackbone

_NETWORK = "network_"  # where a timm backbone has its network


class Border(NamedTuple):
    """Where the frozen stages of a network end.

    Attributes:
        stage: The last of them.
        dtype: Of what it gives, in the run's precision; a map may be kept in another one.
    """

    stage: str
    dtype: torch.dtype


class Cut(ABC):
    """Both halves of a backbone. They are its own parts: what changes there changes here."""

    @abstractmethod
    def until(self, pixels: Tensor) -> Tensor:
        """Turn what the network gets, float (B, C, H, W), into the map or the tokens behind the stage, (B, ...)."""

    @abstractmethod
    def after(self, maps: Tensor) -> Tensor:
        """Turn what `until` gave into the features (B, D)."""

    @abstractmethod
    def tensors(self) -> tuple[str, ...]:
        """Name the parameters and buffers of the first half, as the backbone's state dict does."""

    def loose_parts(self) -> list[nn.Module]:
        """Return the parts of the first half without parameters, which nothing that is frozen holds in eval mode."""
        return []


def cut_behind(backbone: Backbone, stage: str) -> Cut:
    """Cut a network behind a stage.

    Args:
        backbone: Left as it is.
        stage: One of its stages, but the last.

    Raises:
        TlearnError: It cannot be cut there; the message says why, and is part of a sentence.
    """
    early = [tap for tap in backbone.taps if backbone.stages.index(tap) <= backbone.stages.index(stage)]
    if early:
        raise TlearnError(f"{early[0]} is pooled too (model.tap), which a map of {stage} does not tell")
    if isinstance(backbone, TorchvisionBackbone):
        return _CutStages(backbone, stage)
    if isinstance(backbone, TimmBackbone):
        return _CutGraph(backbone, stage)
    raise TlearnError("the network is your own, and nobody knows where its stages end")


class _CutStages(Cut):
    """Torchvision's networks, which run stage by stage."""

    def __init__(self, backbone: TorchvisionBackbone, stage: str) -> None:
        self._backbone = backbone
        place = 1 + backbone.stages.index(stage)
        self._first, self._rest = backbone.stages[:place], backbone.stages[place:]

    def until(self, pixels: Tensor) -> Tensor:
        self._backbone.check_size(pixels)
        for stage in self._first:
            pixels = self._backbone.through(stage, pixels)
        return pixels

    def after(self, maps: Tensor) -> Tensor:
        pooled = self._backbone.pooled_in(self._rest, maps)
        return pooled[0] if len(pooled) == 1 else torch.cat(pooled, dim=1)

    def tensors(self) -> tuple[str, ...]:
        stage_of = self._backbone.stage_of
        return tuple(name for name in self._backbone.state_dict() if stage_of(name) in self._first)


class _Halves(NamedTuple):
    """The graphs of both halves, and the parts and tensors that the first one uses."""

    until: Any
    after: Any
    uses: tuple[str, ...]


# Beside the networks, not in them: a copy of a network is traced anew, and a network can be pickled.
_TRACED: WeakKeyDictionary[nn.Module, dict[tuple[str, bool], _Halves]] = WeakKeyDictionary()


class _CutGraph(Cut):
    """A timm network, whose forward pass is traced with torch.fx down to the parts round the border.

    The graphs name parts of the network and are interpreted on it, so that modes, replaced parts and new weights count.
    """

    def __init__(self, backbone: TimmBackbone, stage: str) -> None:
        module = backbone.module_at(stage)
        if module is None:
            raise TlearnError(f"timm does not say where {stage} of this network ends, or what follows the tap")
        self._backbone, self._stage, self._module = backbone, stage, module
        self._halves()  # so that a network that cannot be traced is refused now

    def until(self, pixels: Tensor) -> Tensor:
        self._backbone.check_size(pixels)
        return self._run(self._halves().until, pixels)

    def after(self, maps: Tensor) -> Tensor:
        return self._run(self._halves().after, maps)

    def tensors(self) -> tuple[str, ...]:
        used = tuple(f"{_NETWORK}.{name}" for name in self._halves().uses)
        parts = tuple(f"{name}." for name in used)
        return tuple(name for name in self._backbone.state_dict() if name in used or name.startswith(parts))

    def loose_parts(self) -> list[nn.Module]:
        nodes = (node for node in self._halves().until.nodes if node.op == "call_module")
        parts = [self._backbone.network_.get_submodule(str(node.target)) for node in nodes]
        return [part for part in parts if not list(part.parameters())]

    def _run(self, graph: Any, x: Tensor) -> Tensor:
        from torch.fx import Interpreter

        found: Tensor = Interpreter(self._backbone.network_, graph=graph).run(x)
        return found

    def _halves(self) -> _Halves:
        network = self._backbone.network_
        known = _TRACED.setdefault(network, {})
        key = (self._stage, network.training)  # what a forward pass asks of `training` is fixed by the trace
        if key not in known:
            known[key] = _traced(network, self._module, self._stage)
        return known[key]


def _traced(network: nn.Module, module: str, stage: str) -> _Halves:
    """Trace a network and cut its graph behind a module.

    Raises:
        TlearnError: It cannot be traced, or what follows looks at more than the module's output.
    """
    from torch import fx

    class Tracer(fx.Tracer):
        """Look only into what the border lies in: all other parts stay whole."""

        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return not module.startswith(f"{module_qualified_name}.")

    given = inspect.signature(network.forward).parameters.values()
    others = {each.name: each.default for each in given if each.default is not inspect.Parameter.empty}
    try:
        graph = Tracer().trace(network, concrete_args=others)
    except Exception as error:  # each network's own code runs in it, on what is no tensor
        raise TlearnError(f"its forward pass cannot be followed ({type(error).__name__})") from error
    ends = [node for node in graph.nodes if node.op == "call_module" and node.target == module]
    if len(ends) != 1:
        raise TlearnError(f"{stage} ends in no part that is called once")
    (border,) = ends
    (output,) = (node for node in graph.nodes if node.op == "output")
    first, rest = _needed(border, None), _needed(output, border)
    shared = [node for node in rest if node in first and node is not border and node.op != "get_attr"]
    if shared or border not in rest:
        raise TlearnError(f"what follows {stage} looks at more than its map")
    uses = tuple(str(node.target) for node in first if node.op in ("call_module", "get_attr"))
    return _Halves(_part_of(graph, first, border, None), _part_of(graph, rest, output, border), uses)


def _needed(node: Any, border: Any) -> dict[Any, None]:
    """Collect what a node is computed from, itself included; what the border is computed from is not."""
    found: dict[Any, None] = {}
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found[each] = None
            waiting += [] if each is border else each.all_input_nodes
    return found


def _part_of(graph: Any, nodes: dict[Any, None], end: Any, border: Any) -> Any:
    """Copy some nodes of a graph into one of their own, which begins with the border's output where there is one."""
    from torch import fx

    part: Any = fx.Graph()
    copies: dict[Any, Any] = {}
    for node in graph.nodes:
        if node in nodes:
            made = part.placeholder("maps") if node is border else part.node_copy(node, copies.__getitem__)
            copies[node] = made
    if end.op != "output":
        part.output(copies[end])
    return part
