"""Tell by its first bytes what a file is that holds no weights for torch, and how its weights are had."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

_HEAD_BYTES = 1024
_ARCHIVES = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
}
_ONNX = "an ONNX file, whose weights have lost their names; give the checkpoint that it was exported from"
_KERAS = "a Keras (HDF5) file; tlearn reads PyTorch's weights: take this network from timm or torchvision"
_TENSORFLOW = "a TensorFlow file; tlearn reads PyTorch's weights: take this network from timm (its tf_ names)"
_NUMPY = "a NumPy file; turn its arrays into tensors and save them with torch.save"
_MAGIC = {
    b"version https://git-lfs": "a Git LFS pointer, not the file itself; run 'git lfs pull'",
    b"\x89HDF\r\n\x1a\n": _KERAS,
    b"\x93NUMPY": _NUMPY,
    b"GGUF": "a GGUF file; tlearn reads PyTorch's weights: give its .pth or .safetensors",
    b"%PDF": "a PDF, not weights; download the file itself",
    b"\x89PNG": "a picture, not weights; check the path",
    b"\xff\xd8\xff": "a picture, not weights; check the path",
    b"model_checkpoint_path": _TENSORFLOW,
}
_ENDINGS = {
    ".onnx": _ONNX,
    ".h5": _KERAS,
    ".keras": _KERAS,
    ".hdf5": _KERAS,
    ".pb": _TENSORFLOW,
    ".tflite": _TENSORFLOW,
    ".index": _TENSORFLOW,
    ".msgpack": "a Flax file; tlearn reads PyTorch's weights: give its .pth or .safetensors",
    ".mlmodel": "a Core ML file; give the checkpoint that it was converted from",
    ".engine": "a TensorRT file; give the checkpoint that it was built from",
    ".yaml": "a config, not weights; check the path",
    ".yml": "a config, not weights; check the path",
}
_TENSORFLOW_DATA = re.compile(r"\.data-\d{5}-of-\d{5}$")
_PIECE = re.compile(r"-(\d{5})-of-(\d{5})\.\w+$")


def other_kind(path: Path) -> str | None:
    """Name what a file is, and the way out; ``None`` where torch or safetensors may be able to read it.

    Args:
        path: An existing file.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        return "empty; fetch or save it again"
    known = next((what for magic, what in _MAGIC.items() if head.startswith(magic)), None)
    return known or _zipped(path, head) or _archived(head) or _text(head) or _by_name(path, head)


def piece_of(path: str | Path) -> str | None:
    """Name the piece where a file is one of several that hold a network together (Hugging Face's sharded weights)."""
    found = _PIECE.search(str(path))
    return None if found is None else f"it is piece {int(found[1])} of {int(found[2])}, put them together first"


def _zipped(path: Path, head: bytes) -> str | None:
    if not head.startswith(b"PK\x03\x04"):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None  # torch's own message is about what is broken
    last = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in last:
        save = f"torch.save(torch.jit.load('{path.name}').state_dict(), 'weights.pth')"
        return f"a TorchScript file; save its state_dict() alone: {save}"
    if "data.pkl" in last:
        return None
    if "archive_format" in last or any("/models/" in f"/{name}" for name in names):
        save = f"torch.save(torch.export.load('{path.name}').state_dict, 'weights.pth')"
        return f"a file of torch.export; save its state_dict alone: {save}"
    if names and all(name.endswith(".npy") for name in names):
        return _NUMPY
    if "model.weights.h5" in last:
        return _KERAS
    return f"a zip archive of {len(names)} files ({', '.join(names[:3])}); unpack it and give the file in it"


def _archived(head: bytes) -> str | None:
    kind = next((kind for magic, kind in _ARCHIVES.items() if head.startswith(magic)), None)
    return f"a {kind} archive; unpack it and give the file in it" if kind else None


def _text(head: bytes) -> str | None:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:60].lower()
    if start.startswith((b"<!doctype", b"<html", b"<head")):
        return "a web page, not the file itself; download the file behind its download link (GitHub: raw, Hub: resolve)"
    if start.startswith(b"<?xml"):
        return "an XML file, not weights; download the file itself"
    if re.match(rb"\{\s*[\"}]", head.lstrip()):
        if b'"weight_map"' in head or b'"total_size"' in head:
            return "the index of weights in pieces; put the pieces together, and give that file"
        return "a JSON file, not weights; give the weights beside it"
    return None


def _by_name(path: Path, head: bytes) -> str | None:
    """Kinds without a sign of their own at the start."""
    if head[4:8] == b"TFL3" or _TENSORFLOW_DATA.search(path.name):
        return _TENSORFLOW
    if (
        head[:1] == b"\x08"
        and head[1:2] < b"\x20"
        and head[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x2a", b"\x32", b"\x3a")
    ):
        return _TENSORFLOW if path.suffix == ".pb" else _ONNX
    return _ENDINGS.get(path.suffix.lower())
