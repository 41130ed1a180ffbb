"""Backbones of torchvision and timm, and faster forms of them for a run."""
