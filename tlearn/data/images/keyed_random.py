"""Random numbers that depend only on (seed, epoch, index). Letters: B images in a batch.

They come from hashing a counter, not from a state that advances. So an image's draws do not depend on its batch mates,
on its worker or on earlier draws, and a resumed run draws the same as an uninterrupted one. The hash is splitmix64's
output function (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15
_MULTIPLIER_1 = 0xBF58476D1CE4E5B9
_MULTIPLIER_2 = 0x94D049BB133111EB


def key(seed: int, epoch: int, *more: int) -> int:
    """Hash a key to 63 bits, as the seed of a ``torch.Generator``.

    Args:
        seed: The run's seed.
        epoch: The epoch, counted from 0.
        *more: Further parts of the key, such as a stream or an image's index.
    """
    return _hash(seed, epoch, *more) >> 1


def uniform(seed: int, epoch: int, indices: Tensor, stream: int) -> Tensor:
    """Draw one number per image, uniform in [0, 1).

    Args:
        seed: The run's seed.
        epoch: The epoch, counted from 0.
        indices: int64 (B,), the images' positions in their source.
        stream: The number of this draw; the streams of an image are independent.

    Returns:
        float32 (B,) on the device of ``indices``; multiples of 2**-24, which are exact and never round up to 1.
    """
    bits = _mix_tensor((indices ^ _signed(_hash(seed, epoch, stream))) + _signed(_GAMMA))
    return _shift_right(bits, 40).to(torch.float32) * 2.0**-24


def keys_of_names(names: Iterable[bytes]) -> Tensor:
    """Hash names, so that an image's draw stays the same when others come and go; int64 (N,)."""
    hashes = [hashlib.blake2b(name, digest_size=8).digest() for name in names]
    return torch.from_numpy(np.frombuffer(b"".join(hashes), dtype="<i8").copy())


def _hash(*parts: int) -> int:
    state = 0
    for part in parts:
        state = _mix_int(((state ^ (part & _MASK)) + _GAMMA) & _MASK)
    return state


def _mix_int(z: int) -> int:
    z = ((z ^ (z >> 30)) * _MULTIPLIER_1) & _MASK
    z = ((z ^ (z >> 27)) * _MULTIPLIER_2) & _MASK
    return z ^ (z >> 31)


def _mix_tensor(z: Tensor) -> Tensor:
    z = (z ^ _shift_right(z, 30)) * _signed(_MULTIPLIER_1)
    z = (z ^ _shift_right(z, 27)) * _signed(_MULTIPLIER_2)
    return z ^ _shift_right(z, 31)


def _shift_right(z: Tensor, bits: int) -> Tensor:
    # int64 shifts fill with the sign bit, but the hash is defined on unsigned numbers.
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    """Return the int64 with the same bits: torch has no wrapping uint64 arithmetic."""
    return value - (1 << 64) if value >> 63 else value
