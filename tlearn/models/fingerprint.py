"""Tell whether a tensor still is what it was."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def fingerprint(tensor: Tensor) -> str:
    """Hash a tensor's bits to 32 hexadecimal digits (SHA-256, which processors have instructions for)."""
    flat = tensor.detach().cpu().contiguous().flatten()  # a scalar has no bytes to view, a vector has
    return hashlib.sha256(flat.view(torch.uint8).numpy().data).hexdigest()[:32]
