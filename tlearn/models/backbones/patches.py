"""Sizes of pictures that a network which sees patches cannot take."""

from __future__ import annotations

from tlearn.base.errors import TlearnError


def not_divided(name: str, size_px: int, patch_px: int) -> TlearnError:
    """Build the error for a size that would lose its border."""
    below = size_px - size_px % patch_px
    choices = [str(side) for side in (below, below + patch_px) if side]
    return TlearnError(
        f"{name} sees patches of {patch_px} px, which do not divide model.image_size {size_px}; set it to "
        f"{' or '.join(choices)}"
    )


def size_cost(name: str, size_px: int, native_px: int) -> str:
    """Say what it costs to build a network for another size than that of its weights; empty where it is theirs."""
    if size_px == native_px:
        return ""
    ratio = (size_px / native_px) ** 2
    return f"{name} is built for {size_px} px in place of {native_px} px: {ratio:.2g} times the pixels and tokens"
