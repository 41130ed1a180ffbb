"""Figures of an evaluation, as pixels. N images, K classes, H and W pixels.

Matplotlib without pyplot: nothing global is kept, no window is opened.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from tlearn.reporting.evaluation import BINS, Answers, Reliability, class_scores, confusion_matrix, reliability

Pixels = NDArray[np.uint8]

SHOWN_CLASSES = 30  # more do not fit on a laptop's screen with their names
_LONGEST = 22  # letters of a class name
_DPI = 100
_BLUE, _ORANGE, _GREY = "#0072B2", "#E69F00", "#666666"  # Okabe and Ito's: told apart by colour-blind readers too
# For class names in Chinese, Japanese or Korean, where one is installed.
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
    """Draw who is taken for whom: numbers of images, shaded by their share of the true class."""
    matrix = confusion_matrix(answers)
    mistakes = matrix.sum(dim=0) + matrix.sum(dim=1) - 2 * matrix.diagonal()
    shown = mistakes.argsort(descending=True, stable=True)[:SHOWN_CLASSES].sort().values
    names = [shortened(answers.class_names[n]) for n in shown.tolist()]
    shares = (matrix / matrix.sum(dim=1, keepdim=True).clamp(min=1))[shown][:, shown].numpy()
    part = "" if len(shown) == len(matrix) else f", the {len(shown)} of {len(matrix)} classes with most mistakes"
    side = max(4.5, 0.46 * len(shown) + 2)
    figure, axes = _figure(side, side, f"{title_of(answers)}: images{part}")
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
    """Draw the share of each class's images that is found, the lowest first."""
    scores = class_scores(answers)
    present = scores.images.nonzero().flatten()
    order = present[scores.accuracy[present].argsort(stable=True)][:SHOWN_CLASSES]
    part = "" if len(order) == len(present) else f", the lowest {len(order)} of {len(present)} classes"
    figure, axes = _figure(7, max(2.5, 0.3 * len(order) + 1), f"{title_of(answers)}: accuracy of each class{part}")
    values = scores.accuracy[order].numpy()
    axes.barh(range(len(order)), values, color=_BLUE)
    names = [shortened(answers.class_names[n]) for n in order.tolist()]
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
    """Draw how often probabilities come true, before and after temperature scaling."""
    figure = Figure(figsize=(9, 4.6), dpi=_DPI, layout="constrained")
    figure.suptitle(f"{title_of(answers)}: do probabilities come true?", fontsize=11)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    pairs = ((1.0, "as trained"), (answers.temperature, f"divided by the temperature {answers.temperature:.2f}"))
    for axes, (temperature, name) in zip(panels, pairs, strict=True):
        _reliability_panel(axes, reliability(answers, temperature), name)
    panels[0].set_ylabel("share that is right")
    return _pixels(figure)


def scatter_figure(answers: Answers) -> Pixels:
    """Draw predicted against true values."""
    figure, axes = _figure(5.5, 5.5, f"{title_of(answers)}: predicted and true values")
    true, given = answers.targets.flatten().numpy(), answers.given.flatten().numpy()
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
    tile_in, text_in = 1.75, 0.4
    high_in = tile_in * height / width
    size_in = columns * tile_in, rows * (high_in + text_in) + 0.4
    figure = Figure(figsize=size_in, dpi=_DPI)
    figure.suptitle(title, fontsize=11, y=1 - 0.12 / size_in[1], va="top")
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        row, column = divmod(number, columns)
        top_in = size_in[1] - 0.4 - row * (high_in + text_in)
        place = (column * tile_in + 0.05, top_in - high_in + 0.05, tile_in - 0.1, high_in - 0.1)
        box = [place[0] / size_in[0], place[1] / size_in[1], place[2] / size_in[0], place[3] / size_in[1]]
        axes = figure.add_axes((box[0], box[1], box[2], box[3]))
        axes.set_axis_off()
        axes.imshow(picture.permute(1, 2, 0).numpy(), interpolation="nearest" if width < 100 else "antialiased")
        axes.text(0.5, -0.02, caption, transform=axes.transAxes, ha="center", va="top", fontsize=8)
    return _pixels(figure)


def overlay(pictures: Tensor, heat: Tensor) -> Tensor:
    """Lay heat (N, H, W), each scaled to its own maximum, over uint8 pictures (N, 3, H, W); the same form returns."""
    from matplotlib import colormaps

    heat = heat.nan_to_num(0)  # after a loss that is no number
    scaled = heat / heat.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    colours = torch.from_numpy(colormaps["inferno"](scaled.numpy())[..., :3]).permute(0, 3, 1, 2) * 255
    grey = pictures.float().mean(dim=1, keepdim=True)
    return (0.4 * grey + 0.6 * colours).clamp(0, 255).to(torch.uint8)


def shortened(name: str) -> str:
    """Cut a long class name, and keep it on one line."""
    line = " ".join(name.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def title_of(answers: Answers) -> str:
    """Name the pass: its split and epoch."""
    name = {"val": "validation"}.get(answers.outputs.split, answers.outputs.split)
    return f"{name}, epoch {answers.outputs.epoch}" if answers.outputs.epoch else name


def _figure(width_in: float, height_in: float, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width_in, height_in), dpi=_DPI, layout="constrained")
    figure.suptitle(title, fontsize=11)
    return figure, figure.subplots()


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

    canvas = FigureCanvasAgg(figure)
    with rc_context({"font.family": _fonts()}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")  # drawn as a box
        canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib's own has no annotation
    return np.array(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
