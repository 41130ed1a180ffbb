"""What libraries import for nothing is not imported, and works all the same when it is asked for.

All is tried in processes of their own: what was imported once stays.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tlearn.base.imports.spared import SPARED, Spared
from tlearn.base.imports.stand_ins import quick_imports

# Prints what stood in for what, and what was imported after all, each beside the library of a row that asked for it.
_WATCHED = """
import importlib, json, sys
from importlib.abc import MetaPathFinder
from tlearn.base.imports import stand_ins
from tlearn.base.imports.spared import SPARED

LIBRARIES = sorted({row.library for row in SPARED}, key=len, reverse=True)
MODULES = {name for row in SPARED for name in row.modules}
stood_in, imported = [], []


def asked_by():
    frame = sys._getframe(1)
    while frame:
        name = frame.f_globals.get("__name__", "")
        for library in LIBRARIES:
            if name == library or name.startswith(library + "."):
                return library
        frame = frame.f_back
    return "another"


class Watch(MetaPathFinder):
    def find_spec(self, fullname, path, target=None):
        if fullname in MODULES:
            imported.append([asked_by(), fullname])


def watched(self, module, real=stand_ins._StandIns.exec_module):
    stood_in.append([asked_by(), module.__name__])
    real(self, module)


stand_ins._StandIns.exec_module = watched
import torch  # it asks whether there is a triton, without importing it
with stand_ins.quick_imports():
    sys.meta_path.insert(1, Watch())
    for library in LIBRARIES:
        importlib.import_module(library)
left = [name for name in MODULES if name in sys.modules]
loaders = {type(sys.modules[library].__spec__.loader).__name__ for library in LIBRARIES}
print(json.dumps([stood_in, imported, left, sorted(loaders), len(sys.meta_path) - 1]))
"""


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def _seen() -> Any:
    return json.loads(_run(_WATCHED))


def _name(row: Spared) -> str:
    return f"{row.library} without {[*row.modules][-1]}"


@pytest.mark.parametrize("row", SPARED, ids=_name)
def test_a_library_is_imported_without_what_it_spares(row: Spared) -> None:
    """If it fails, a new release does otherwise: read it, and mend its row, or drop the row."""
    if find_spec(next(iter(row.modules)).partition(".")[0]) is None:
        pytest.skip("is not installed")
    stood_in, imported, *_ = _seen()
    for name in row.modules:
        assert [row.library, name] in stood_in, "the library imports it no more: drop the row"
        assert [row.library, name] not in imported, "the library takes more from it than the row knows"


def test_nothing_is_left_of_it() -> None:
    _, imported, left, loaders, finders = _seen()
    assert (imported, left, loaders) == ([], [], ["SourceFileLoader"])
    plain = int(_run("import sys, tlearn, torch; print(len(sys.meta_path))"))
    assert finders == plain


def test_the_collector_waits_and_goes_on() -> None:
    with quick_imports():
        assert not gc.isenabled()
        with quick_imports():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with pytest.raises(ZeroDivisionError), quick_imports():
            1 / 0  # noqa: B018
        assert not gc.isenabled()
    finally:
        gc.enable()


_QUICK = """
import sys, torch
from tlearn.base.imports.stand_ins import quick_imports
with quick_imports():
    import torchvision, lightning.pytorch, torchmetrics, torchvision.tv_tensors, torch.utils.flop_counter
assert "torch._dynamo" not in sys.modules
"""
_COMPILER = """
import warnings
from torchvision.ops import RoIAlign, nms, roi_align
from torchvision.transforms.v2 import functional as F
from torchvision import tv_tensors
from lightning.fabric.wrappers import OptimizedModule
from lightning.pytorch.utilities import compile as lightning_compile

boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.9], [5.0, 5.0, 7.0, 7.0]])
assert nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist() == [0, 2]
maps = torch.arange(64.0).reshape(1, 1, 8, 8)
plain = roi_align(maps, [boxes], 2)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch 2.14 says that scripts are a thing of the past
    assert torch.equal(torch.jit.script(RoIAlign(2, 1.0, -1))(maps, [boxes]), plain)
picture = tv_tensors.Image(torch.arange(48, dtype=torch.uint8).reshape(3, 4, 4))
flipped = F.horizontal_flip(picture)
assert type(flipped) is tv_tensors.Image
model = torch.nn.Linear(2, 2)
assert not isinstance(model, OptimizedModule)
assert "torch._dynamo" not in sys.modules  # until here nothing was compiled

compiled = torch.compile(model, backend="eager")
assert isinstance(compiled, OptimizedModule) and not isinstance(model, OptimizedModule)
assert issubclass(type(compiled), OptimizedModule) and not issubclass(int, OptimizedModule)
assert isinstance(compiled, lightning_compile.OptimizedModule)
assert torch.equal(compiled(torch.ones(1, 2)), model(torch.ones(1, 2)))
again = torch.compile(F.horizontal_flip, backend="eager")(picture)
assert type(again) is tv_tensors.Image and torch.equal(again, flipped)
assert torchvision.ops.roi_align.__globals__["is_compile_supported"]("cpu") in (True, False)
torch.use_deterministic_algorithms(True)
assert torch.equal(torch.compile(lambda m: roi_align(m, [boxes], 2), backend="eager")(maps), plain)
"""
_PLOTS = """
import matplotlib
matplotlib.use("agg")
from torchmetrics.utilities.plot import plot_single_or_multi_val
from torchmetrics.classification import MulticlassConfusionMatrix

metric = MulticlassConfusionMatrix(2)
metric.update(torch.tensor([0, 1]), torch.tensor([0, 1]))
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    figure, axes = metric.plot()
import matplotlib.axes, matplotlib.pyplot as plt
assert isinstance(axes, matplotlib.axes.Axes) and isinstance(figure, plt.Figure)
from torchmetrics.utilities import plot
assert isinstance(axes, plot._AX_TYPE) and isinstance(axes, torchmetrics.collections._AX_TYPE)
assert not isinstance(figure, torchmetrics.collections._AX_TYPE)
import scipy.signal
assert scipy.signal.find_peaks([0, 1, 0])[0].tolist() == [1]
assert scipy.signal is sys.modules["scipy.signal"]
"""
_COUNTED = """
from torch.utils.flop_counter import FlopCounterMode, register_flop_formula
with FlopCounterMode(display=False) as counter:
    torch.ones(2, 3) @ torch.ones(3, 4)
assert counter.get_total_flops() == 2 * 2 * 3 * 4
"""


@pytest.mark.parametrize("used", [_COMPILER, _PLOTS, _COUNTED], ids=["compiler", "plots", "flops"])
def test_what_was_spared_works_when_it_is_used(used: str) -> None:
    _run(_QUICK + used + "print('done')")


def test_what_a_stand_in_does_not_know_comes_from_the_module(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A new release that takes more is imported as a whole, with what it asks for."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "takes_more.py").write_text("from torch._dynamo import reset, disable\n", encoding="utf-8")
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r})\n"
        "from tlearn.base.imports import stand_ins\n"
        "from tlearn.base.imports.spared import Spared\n"
        "stand_ins.SPARED = (Spared('takes_more', {'torch._dynamo': {'disable': 'decorator'}}, ''),)\n"
        "with stand_ins.quick_imports():\n    import takes_more\n"
        "import torch._dynamo\n"
        "print(takes_more.reset is torch._dynamo.reset, torch._dynamo.__spec__.loader.__class__.__name__)\n"
    )
    assert _run(code) == "True SourceFileLoader\n"


_LIBRARY = """
import torch._dynamo
from threading import Thread
from torch._dynamo import disable
"""
_ASKS = {
    "a module in the package": "import torch._dynamo.config",
    "a thread of the user's": "worker = Thread(target=exec, args=('import torch._dynamo.config', globals()))\n"
    "worker.start()\nworker.join()",
}


@pytest.mark.parametrize("asks", _ASKS.values(), ids=_ASKS)
def test_what_lies_in_a_package_that_is_spared_is_found(tmp_path: Path, asks: str) -> None:
    (tmp_path / "takes_more.py").write_text(f"{_LIBRARY}{asks}\nconfig = torch._dynamo.config\n", encoding="utf-8")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from tlearn.base.imports import stand_ins\n"
        "from tlearn.base.imports.spared import Spared\n"
        "stand_ins.SPARED = (Spared('takes_more', {'torch._dynamo': {'disable': 'decorator'}}, ''),)\n"
        "with stand_ins.quick_imports():\n    import takes_more\n"
        "import torch._dynamo.config as config, torch\n"
        "print(takes_more.config is config, config.__spec__.loader.__class__.__name__)\n"
        "print(torch._dynamo.config is config, sys.modules['torch._dynamo.config'] is config)\n"
    )
    assert _run(code) == "True SourceFileLoader\nTrue True\n"


def test_threads_of_the_user_and_their_hooks_see_imports_as_ever() -> None:
    code = """
import sys, threading, torch
from importlib.abc import MetaPathFinder
from tlearn.base.imports.stand_ins import quick_imports
asked = []
class Hook(MetaPathFinder):
    def find_spec(self, fullname, path, target=None):
        asked.append(fullname)
sys.meta_path.insert(0, Hook())
with quick_imports():
    worker = threading.Thread(target=exec, args=("import torchvision",))
    worker.start()
    worker.join()
    assert "torch._dynamo" in sys.modules  # whole: another thread may use it at the same time
    import torchmetrics
print({"torchvision", "torchmetrics"} <= {*asked})
"""
    assert _run(code) == "True\n"


def test_what_is_imported_already_stays() -> None:
    code = (
        "import torch._dynamo as before\n"
        "from tlearn.base.imports.stand_ins import quick_imports\n"
        "with quick_imports():\n    import torchvision\n"
        "import torch._dynamo as after\n"
        "from torch._dynamo.utils import is_compile_supported\n"
        "has = torchvision.ops.roi_align.__globals__\n"
        "print(before is after, has['is_compile_supported'] is is_compile_supported)\n"
    )
    assert _run(code) == "True True\n"


@pytest.mark.parametrize(
    "start", ["from tlearn import load", "from tlearn import Predictor", "from tlearn.deploy import load"]
)
def test_load_imports_no_compiler_no_statistics(start: str) -> None:
    heavy = "'torch._dynamo', 'scipy', 'lightning', 'torchmetrics', 'matplotlib', 'triton', 'timm', 'sympy'"
    assert _run(f"import sys\n{start}\nprint([name for name in ({heavy}) if name in sys.modules])") == "[]\n"


def test_fit_imports_no_compiler_no_statistics() -> None:
    heavy = (
        "'torch._dynamo', 'scipy.signal', 'scipy.stats', 'scipy.optimize', 'matplotlib', 'triton', 'timm', 'sklearn'"
    )
    code = f"import sys, tlearn\ntlearn.fit\nprint([name for name in ({heavy}) if name in sys.modules])"
    assert _run(code) == "[]\n"
