"""What figures depend on beside the code, and how they are kept."""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.loops import best_precision, device

PACKAGES = ("tlearn", "torch", "torchvision", "lightning", "torchmetrics")
SIDE = 2048


@dataclass
class Figure:
    """One line of the table.

    Attributes:
        name: What was measured.
        value: The figure that counts; the median where there are several.
        unit: Of the value.
        wanted: What it should reach, as text; empty where it is only reported.
        n: How many measurements.
        detail: What it was made from.
    """

    name: str
    value: float
    unit: str
    wanted: str = ""
    n: int = 1
    detail: dict[str, object] = field(default_factory=dict)


def machine() -> dict[str, object]:
    """Processor, cores, threads, precision and versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "processor": model or platform.processor(),
        "accelerator": torch.cuda.get_device_name() if device().type == "cuda" else None,
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "best_precision": best_precision(),
        "python": platform.python_version(),
        **{name: _installed(name) for name in PACKAGES},
    }


def machine_line() -> str:
    """What `machine` found, in one line."""
    return "; ".join(f"{key} {value}" for key, value in machine().items())


def load_now() -> float:
    """The machine's load before a measurement; says so where it will spoil the figures."""
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"something else is running (load {load:.1f}): the figures will be low and far apart", file=sys.stderr)
    return load


def peak_gflop_s(repeats: int = 10) -> float:
    """GFLOP/s of a plain matrix product in the machine's best precision: what nothing can be faster than."""
    dtype = torch.bfloat16 if best_precision() == "bf16-mixed" else torch.float32
    left, right = (torch.randn(SIDE, SIDE, device=device()).to(dtype) for _ in range(2))
    for _ in range(3):
        left @ right
    start_s = time.perf_counter()
    for _ in range(repeats):
        product = left @ right
    product[0, 0].item()  # waits for the device
    return repeats * 2 * SIDE**3 / (time.perf_counter() - start_s) / 1e9


def as_markdown(figures: list[Figure]) -> str:
    """A table of figures."""
    lines = ["| what | wanted | measured | n |", "| --- | --- | --- | --- |"]
    lines += [f"| {f.name} | {f.wanted} | {_number(f.value)} {f.unit} | {f.n} |" for f in figures]
    return "\n".join(lines)


def print_figures(figures: list[Figure], details: bool = False) -> None:
    """Print the machine and the table, and on stderr, if asked for, what each figure rests on."""
    print(machine_line(), end="\n\n")
    print(as_markdown(figures))
    for figure in figures if details else ():
        print(f"{figure.name}: {figure.detail}", file=sys.stderr)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
