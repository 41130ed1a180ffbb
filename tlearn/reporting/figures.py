"""Figures of an evaluation, as pixels. N images, K classes, H and W pixels.

They use Matplotlib without pyplot, which would keep global state and open windows.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from tlearn.models.calibration import BINS, Reliability
from tlearn.reporting.evaluation import Answers, class_scores, confusion_matrix, reliability

Pixels = NDArray[np.uint8]

SHOWN_CLASSES = 30  # more do not fit on a laptop's screen
_LONGEST = 22  # letters of a class name
_DPI = 100
_BLUE, _ORANGE, _GREY = "#0072B2", "#E69F00", "#666666"  # of Okabe and Ito: colour-blind readers can tell them apart
# For class names in Chinese, Japanese or Korean, if one of them is installed.
_FURTHER_FONTS = (
    "Noto Sans CJK",
    "Noto Sans SC",
    "WenQuanYi",
    "Microsoft YaHei",
    "PingFang",
    "SimHei",
    "Arial Unicode",
)


def confusion_figure(answers: Answers) -> Pixels:
    """Draw the confusion matrix: numbers of images, shaded by their share of the true class."""
    matrix = confusion_matrix(answers)
    mistakes = matrix.sum(dim=0) + matrix.sum(dim=1) - 2 * matrix.diagonal()
    shown = mistakes.argsort(descending=True, stable=True)[:SHOWN_CLASSES].sort().values
    names = [shortened(answers.class_names[n]) for n in shown.tolist()]
    shares = (matrix / matrix.sum(dim=1, keepdim=True).clamp(min=1))[shown][:, shown].numpy()
    part = "" if len(shown) == len(matrix) else f", the {len(shown)} of {len(matrix)} classes with most mistakes"
    side, names_in = max(2.6, 0.46 * len(shown)), _width_in(names) + 0.5
    size_in = side + names_in + 0.2, side + names_in + 0.4
    figure, axes = _figure(size_in, f"{title_of(answers)}: images{part}", left_in=names_in, bottom_in=names_in)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for (row, column), count in np.ndenumerate(matrix[shown][:, shown].numpy()):
        if count:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    return _pixels(figure)


def per_class_figure(answers: Answers) -> Pixels:
    """Draw the recall of each class, the lowest first."""
    scores = class_scores(answers)
    present = scores.images.nonzero().flatten()
    order = present[scores.accuracy[present].argsort(stable=True)][:SHOWN_CLASSES]
    part = "" if len(order) == len(present) else f", the lowest {len(order)} of {len(present)} classes"
    names = [shortened(answers.class_names[n]) for n in order.tolist()]
    size_in, title = (7.0, max(2.5, 0.3 * len(order) + 1)), f"{title_of(answers)}: accuracy of each class{part}"
    figure, axes = _figure(size_in, title, left_in=_width_in(names) + 0.2)
    values = scores.accuracy[order].numpy()
    axes.barh(range(len(order)), values, color=_BLUE)
    axes.set_yticks(range(len(order)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    for row, (value, images) in enumerate(zip(values, scores.images[order].tolist(), strict=True)):
        axes.text(value + 0.01, row, f"{value:.1%} of {images}", va="center", fontsize=8)
    axes.set_xlabel("share of its images that is found (recall)")
    axes.spines[["top", "right"]].set_visible(False)
    return _pixels(figure)


def reliability_figure(answers: Answers) -> Pixels:
    """Draw the reliability diagram before and after temperature scaling."""
    figure = Figure(figsize=(9, 4.6), dpi=_DPI)
    figure.suptitle(f"{title_of(answers)}: do probabilities come true?", fontsize=11)
    margins = {"left": 0.07, "right": 0.98, "bottom": 0.11, "top": 0.86, "wspace": 0.08}
    panels = figure.subplots(1, 2, sharex=True, sharey=True, gridspec_kw=margins)
    pairs = ((1.0, "as trained"), (answers.temperature, f"divided by the temperature {answers.temperature:.2f}"))
    for axes, (temperature, name) in zip(panels, pairs, strict=True):
        _reliability_panel(axes, reliability(answers, temperature), name)
    panels[0].set_ylabel("share that is right")
    return _pixels(figure)


def scatter_figure(answers: Answers) -> Pixels:
    """Draw predicted against true values of a regression's first column."""
    of = f" of {shortened(answers.class_names[0])}" if answers.class_names else ""
    figure, axes = _figure((5.5, 5.5), f"{title_of(answers)}: predicted and true values{of}", left_in=0.9)
    true, given = answers.targets[:, 0].numpy(), answers.given[:, 0].numpy()
    axes.scatter(true, given, s=12, alpha=0.5, color=_BLUE, linewidths=0)
    ends = [min(true.min(), given.min()), max(true.max(), given.max())]
    axes.plot(ends, ends, color=_GREY, linewidth=1, linestyle="--", label="equal")
    axes.set_xlabel("true")
    axes.set_ylabel("predicted")
    axes.legend(frameon=False)
    return _pixels(figure)


def gallery_figure(pictures: Tensor, captions: Sequence[str], title: str, columns: int = 4) -> Pixels:
    """Draw pictures uint8 (N, 3, H, W) in rows, each with its caption of at most two lines below."""
    _, _, height, width = pictures.shape
    rows = -(-len(pictures) // columns)
    tile_in, text_in, title_in = 1.75, 0.4, 0.4
    high_in = tile_in * height / width
    size_in = columns * tile_in, rows * (high_in + text_in) + title_in
    figure = Figure(figsize=size_in, dpi=_DPI)
    figure.suptitle(title, fontsize=11, y=1 - 0.12 / size_in[1], va="top")
    # One pair of axes in inches; a pair for each picture would take three times as long.
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, size_in[0]), ylim=(0, size_in[1]))
    axes.set_axis_off()
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        row, column = divmod(number, columns)
        left, top = column * tile_in + 0.05, size_in[1] - title_in - row * (high_in + text_in) - 0.05
        place = (left, left + tile_in - 0.1, top - high_in + 0.1, top)
        smooth = "nearest" if width < 100 else "antialiased"
        axes.imshow(picture.permute(1, 2, 0).numpy(), extent=place, aspect="auto", interpolation=smooth)
        axes.text(left + tile_in / 2 - 0.05, place[2] - 0.03, caption, ha="center", va="top", fontsize=8)
    axes.set(xlim=(0, size_in[0]), ylim=(0, size_in[1]))
    return _pixels(figure)


def overlay(pictures: Tensor, heat: Tensor) -> Tensor:
    """Blend heat maps (N, H, W), each scaled to its own maximum, with uint8 pictures (N, 3, H, W)."""
    from matplotlib import colormaps

    heat = heat.nan_to_num(0)  # after a loss that is no number
    scaled = heat / heat.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    colours = torch.from_numpy(colormaps["inferno"](scaled.numpy())[..., :3]).permute(0, 3, 1, 2) * 255
    grey = pictures.float().mean(dim=1, keepdim=True)
    return (0.4 * grey + 0.6 * colours).clamp(0, 255).to(torch.uint8)


def shortened(name: str) -> str:
    """Put a class name on one line, cut it if it is long, and escape dollars, which mean mathematics."""
    line = " ".join(name.split())
    line = line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
    return line.replace("$", r"\$")


def title_of(answers: Answers) -> str:
    """Return the split and the epoch of a pass, as words."""
    name = {"val": "validation"}.get(answers.outputs.split, answers.outputs.split)
    return f"{name}, epoch {answers.outputs.epoch}" if answers.outputs.epoch else name


def _figure(size_in: tuple[float, float], title: str, left_in: float, bottom_in: float = 0.55) -> tuple[Figure, Axes]:
    """Make axes with margins in inches; Matplotlib's own layout takes half of the time of a figure."""
    width_in, height_in = size_in
    figure = Figure(figsize=size_in, dpi=_DPI)
    figure.suptitle(title, fontsize=11, y=1 - 0.1 / height_in, va="top")
    box = left_in / width_in, bottom_in / height_in
    axes = figure.add_axes((*box, 1 - 0.2 / width_in - box[0], 1 - 0.4 / height_in - box[1]))
    return figure, axes


def _width_in(names: Sequence[str]) -> float:
    """Estimate the width of names in inches; Chinese characters are twice as wide as Latin letters."""
    return max((sum(0.095 if letter.isascii() else 0.17 for letter in name) for name in names), default=0.0)


def _reliability_panel(axes: Axes, found: Reliability, name: str) -> None:
    edges = np.arange(BINS) / BINS
    share = (found.counts / found.counts.sum()).numpy()
    axes.bar(edges, share, 1 / BINS, align="edge", color=_ORANGE, alpha=0.35, label="share of the answers")
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle="--", label="calibrated")
    filled = (found.counts > 0).numpy()
    confidence, accuracy = found.confidence.numpy()[filled], found.accuracy.numpy()[filled]
    axes.plot(confidence, accuracy, "o-", color=_BLUE, label="right")
    axes.set_title(f"{name}: ECE {found.ece:.3f}", fontsize=10)
    axes.set_xlabel("probability")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.legend(frameon=False, fontsize=8, loc="upper left")


@cache
def _fonts() -> list[str]:
    there = font_manager.get_font_names()
    return ["DejaVu Sans", *(name for name in there if name.startswith(_FURTHER_FONTS))]


def _pixels(figure: Figure) -> Pixels:
    from matplotlib import rc_context

    canvas: Any = FigureCanvasAgg(figure)  # matplotlib annotates no method of it
    with rc_context({"font.family": _fonts()}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")  # drawn as a box
        canvas.draw()
    pixels: Pixels = np.array(canvas.buffer_rgba())[..., :3]
    return pixels
