"""What libraries import for nothing, named: of tlearn's processes hardly any use it, and all would wait for it.

While such a library is imported, and only then, a stand-in takes the place of the module (see
`tlearn/base/imports/stand_ins.py`). `tests/base/imports` tries each row, and fails when a new release no longer does
what it says; until then such a release is imported as a whole, as it would be anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Kind = Literal["function", "class", "decorator"]


class Spared(NamedTuple):
    """A module that the import of a library need not wait for.

    Attributes:
        library: Whose import would bring it along.
        modules: Its path, after that of each package that would be imported for it alone, to the names that the library
            takes from it. A ``function`` imports the module when it is called. Of a ``class`` nothing is an instance
            as long as nobody has imported the module. A ``decorator`` is one that matters only to the module itself:
            it changes nothing until somebody imports that.
        why: Who imports it, and what for, in the release that was read.
    """

    library: str
    modules: Mapping[str, Mapping[str, Kind]]
    why: str


_PLOTS: Mapping[str, Kind] = {
    "_AX_TYPE": "class",
    "_CMAP_TYPE": "class",
    "_PLOT_OUT_TYPE": "class",
    "plot_single_or_multi_val": "function",
    "plot_curve": "function",
    "plot_confusion_matrix": "function",
}

SPARED = (
    Spared(
        "torchvision",
        {"torch._dynamo": {}, "torch._dynamo.utils": {"is_compile_supported": "function"}},
        "torch's compiler: roi_align asks, whenever it is called, whether it could be compiled (torchvision 0.29)",
    ),
    Spared(
        "torchvision.tv_tensors",
        {"torch._dynamo": {"disable": "decorator"}},
        "torch's compiler: a function says that it is not to be compiled (torchvision 0.29)",
    ),
    Spared(
        "lightning.fabric.wrappers",
        {"torch._dynamo": {"OptimizedModule": "class"}},
        "torch's compiler: asked whether a module was compiled (lightning 2.6)",
    ),
    Spared(
        "lightning.pytorch.utilities.compile",
        {"torch._dynamo": {"OptimizedModule": "class"}},
        "torch's compiler: asked whether a module was compiled (lightning 2.6)",
    ),
    Spared(
        "lightning.pytorch.trainer.connectors.logger_connector.result",
        {"torch._dynamo": {"disable": "decorator"}},
        "torch's compiler: a method says that it is not to be compiled (lightning 2.6)",
    ),
    Spared(
        "timm.models.naflexvit",
        {"torch._dynamo": {"disable": "decorator"}},
        "torch's compiler: a method says that it is not to be compiled (timm 1.0.31)",
    ),
    Spared(
        "torch.utils.flop_counter",
        {"triton": {}, "triton.runtime": {}, "triton.runtime.jit": {"JITFunction": "class"}},
        "the compiler of GPU kernels, where it is installed: asked whether one was counted (torch 2.14, for lightning)",
    ),
    Spared(
        "torchmetrics",
        {"scipy.signal": {"hamming": "function"}},
        "SciPy's signal processing and statistics: given a name of old for a package of sound (torchmetrics 1.9)",
    ),
    Spared(
        "torchmetrics",
        {"torchmetrics.utilities.plot": _PLOTS},
        "matplotlib's pyplot: its classes stand in annotations of plots of metrics (torchmetrics 1.9)",
    ),
)
