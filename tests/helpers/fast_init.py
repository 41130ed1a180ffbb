"""Remember which random initial weights were drawn: drawing those of a ResNet18 is a quarter of a small fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import pytest
import torch
from torch import Tensor, nn

_NAMES = ("kaiming_normal_", "kaiming_uniform_", "trunc_normal_")
_MOST_BYTES = 2**28  # the draws of two seeds of a ResNet18 and some small networks
_Key = tuple[Any, ...]


class _Drawn:
    """What was drawn from a state of the generator. What was not used for the longest time is forgotten first."""

    def __init__(self) -> None:
        self._found: OrderedDict[_Key, tuple[Tensor, Tensor]] = OrderedDict()
        self._bytes = 0

    def get(self, key: _Key) -> tuple[Tensor, Tensor] | None:
        if key in self._found:
            self._found.move_to_end(key)
        return self._found.get(key)

    def keep(self, key: _Key, values: Tensor, state: Tensor) -> None:
        self._found[key] = values, state
        self._bytes += values.nbytes
        while self._bytes > _MOST_BYTES:
            self._bytes -= self._found.popitem(last=False)[1][0].nbytes


_DRAWN = _Drawn()


def _remembered(draw: Any) -> Any:
    @wraps(draw)
    def drawn(tensor: Tensor, *args: Any, **options: Any) -> Tensor:
        is_plain = type(tensor) in (Tensor, nn.Parameter) and tensor.device.type == "cpu"
        if not is_plain or tensor.numel() < 10_000 or options.get("generator") is not None:
            return draw(tensor, *args, **options)  # type: ignore[no-any-return]
        layout = tensor.dtype, tensor.shape, tensor.stride()
        before = torch.get_rng_state().numpy().tobytes()
        key = (draw.__name__, *layout, args, tuple(sorted(options.items())), before)
        if found := _DRAWN.get(key):
            values, state = found
            with torch.no_grad():
                tensor.copy_(values)
            torch.set_rng_state(state)
            return tensor
        draw(tensor, *args, **options)
        _DRAWN.keep(key, tensor.detach().clone(), torch.get_rng_state())
        return tensor

    return drawn


@contextmanager
def remembered_weights() -> Iterator[None]:
    """Copy large initial weights that were drawn before from the same state of the generator: the same bits."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _NAMES:
            patch.setattr(nn.init, name, _remembered(getattr(nn.init, name)))
        yield
