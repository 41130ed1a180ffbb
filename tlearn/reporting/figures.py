"""Figures of an evaluation, as pixels. N images, K classes, H and W pixels.

They use Matplotlib without pyplot, which would keep global state and open windows.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tlearn.models.calibration import AS_TRAINED, calibration_words
from tlearn.models.reliability.calibration_error import BINS, Reliability
from tlearn.reporting.evaluation import Answers, class_scores, confusion_matrix, reliability

if TYPE_CHECKING:  # Matplotlib is imported where something is drawn: it takes 0.3 s
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Pixels = NDArray[np.uint8]
P = ParamSpec("P")

SHOWN_CLASSES = 30  # more do not fit on a laptop's screen
_IN_MATRIX = 12  # classes, with numbers of two digits in cells
# TensorBoard shows every picture 350 pixels wide. A figure has two pixels for each of them, and its letters are 14 of
# them high.
_WIDTH_IN, _DPI = 7.0, 100
_PT, _TITLE_PT = 20.2, 21.0
_LETTER_IN, _LINE_IN = 0.172, 0.34  # mean width of a Latin letter, height of a line
_LONGEST = 12  # letters of a class name beside an axis
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


def _with_large_letters(draw: Callable[P, Pixels]) -> Callable[P, Pixels]:
    """Set the fonts of all texts that a function makes."""

    @wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Pixels:
        from matplotlib import rc_context

        with rc_context({"font.family": _fonts(), "font.size": _PT}):
            return draw(*args, **kwargs)

    return styled


@_with_large_letters
def confusion_figure(answers: Answers) -> Pixels:
    """Draw the confusion matrix, shaded by the share of the true class.

    Cells hold numbers of images, or percent of the true class where those do not fit.
    """
    matrix = confusion_matrix(answers)
    mistakes = matrix.sum(dim=0) + matrix.sum(dim=1) - 2 * matrix.diagonal()
    shown = mistakes.argsort(descending=True, stable=True)[:_IN_MATRIX].sort().values
    names = [shortened(answers.class_names[n]) for n in shown.tolist()]
    shares = (matrix / matrix.sum(dim=1, keepdim=True).clamp(min=1))[shown][:, shown].numpy()
    counts = matrix[shown][:, shown].numpy()
    names_in = _width_in(names) + _LINE_IN + 0.2
    side_in = _WIDTH_IN - names_in - 0.2
    fits = len(str(counts.max())) * _LETTER_IN < side_in / len(shown)
    part = "" if len(shown) == len(matrix) else f", the {len(shown)} of {len(matrix)} classes with most mistakes"
    title = f"{title_of(answers)}: {'images' if fits else 'percent of the true class'}{part}"
    figure, axes = _figure(side_in, title, left_in=names_in, bottom_in=names_in)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for (row, column), number in np.ndenumerate(counts if fits else (100 * shares).round().astype(int)):
        if number:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(number), ha="center", va="center", color=colour)
    return _pixels(figure)


@_with_large_letters
def per_class_figure(answers: Answers) -> Pixels:
    """Draw the recall of each class, the lowest first."""
    scores = class_scores(answers)
    present = scores.images.nonzero().flatten()
    order = present[scores.accuracy[present].argsort(stable=True)][:SHOWN_CLASSES]
    part = "" if len(order) == len(present) else f", the lowest {len(order)} of {len(present)} classes"
    names = [shortened(answers.class_names[n]) for n in order.tolist()]
    title = f"{title_of(answers)}: accuracy of each class{part}"
    figure, axes = _figure((_LINE_IN + 0.1) * len(order), title, left_in=_width_in(names) + 0.3)
    values = scores.accuracy[order].numpy()
    axes.barh(range(len(order)), values, color=_BLUE)
    axes.set_yticks(range(len(order)), names)
    axes.set_ylim(max(len(order), 1) - 0.5, -0.5)
    axes.set_xlim(0, 2)  # the words beside a bar are as long as the longest bar
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    for row, (value, images) in enumerate(zip(values, scores.images[order].tolist(), strict=True)):
        axes.text(value + 0.03, row, f"{value:.1%} of {images}", va="center")
    axes.set_xlabel("share found (recall)", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return _pixels(figure)


@_with_large_letters
def reliability_figure(answers: Answers) -> Pixels:
    """Draw the reliability diagram before and after calibration."""
    pairs = ((answers.calibration, f"at {calibration_words(answers.calibration)}"), (AS_TRAINED, "as trained"))
    panel_in, step_in, left_in = 4.2, 5.5, 1.1
    figure, whole = _figure(len(pairs) * step_in - 0.8, f"{title_of(answers)}: do probabilities come true?", left_in)
    box = whole.get_position()
    figure.delaxes(whole)
    per_inch = box.height / (len(pairs) * step_in - 0.8)
    for number, (calibration, name) in enumerate(pairs):
        place = (box.x0, box.y0 + number * step_in * per_inch, box.width, panel_in * per_inch)
        axes = figure.add_axes(place)
        _reliability_panel(axes, reliability(answers, calibration), name, legend=bool(number))
        axes.set_ylabel("share that is right")
    return _pixels(figure)


@_with_large_letters
def scatter_figure(answers: Answers) -> Pixels:
    """Draw predicted against true values of a regression's first column."""
    of = f" of {shortened(answers.class_names[0])}" if answers.class_names else ""
    figure, axes = _figure(5.2, f"{title_of(answers)}: predicted and true values{of}", left_in=1.6)
    true, given = answers.targets[:, 0].numpy(), answers.given[:, 0].numpy()
    axes.scatter(true, given, s=40, alpha=0.5, color=_BLUE, linewidths=0)
    ends = [min(true.min(), given.min()), max(true.max(), given.max())]
    axes.plot(ends, ends, color=_GREY, linewidth=2, linestyle="--", label="equal")
    axes.locator_params(nbins=4)
    axes.set_xlabel("true")
    axes.set_ylabel("predicted")
    axes.legend(frameon=False)
    return _pixels(figure)


@_with_large_letters
def gallery_figure(pictures: Tensor, captions: Sequence[str], title: str, columns: int = 3) -> Pixels:
    """Draw pictures uint8 (N, 3, H, W) in rows, each with its caption below.

    A line of a caption that is longer than its picture is wide takes two lines, and is cut after them.
    """
    _, _, height, width = pictures.shape
    rows = -(-len(pictures) // columns)
    tile_in = _WIDTH_IN / columns
    below = [_wrapped(caption, round(tile_in / _LETTER_IN)) for caption in captions]
    text_in = max((text.count("\n") + 1 for text in below), default=0) * _LINE_IN + 0.15
    high_in = tile_in * height / width
    figure, axes = _figure(rows * (high_in + text_in), title, left_in=0.0, bottom_in=0.0, right_in=0.0)
    # One pair of axes in inches; a pair for each picture would take three times as long.
    axes.set_axis_off()
    for number, (picture, caption) in enumerate(zip(pictures, below, strict=True)):
        row, column = divmod(number, columns)
        left, top = column * tile_in + 0.05, (rows - row) * (high_in + text_in)
        place = (left, left + tile_in - 0.1, top - high_in + 0.1, top)
        smooth = "nearest" if width < 100 else "antialiased"
        axes.imshow(picture.permute(1, 2, 0).numpy(), extent=place, aspect="auto", interpolation=smooth)
        axes.text(left + tile_in / 2 - 0.05, place[2] - 0.03, caption, ha="center", va="top", linespacing=1.1)
    axes.set(xlim=(0, _WIDTH_IN), ylim=(0, rows * (high_in + text_in)))
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
    return _literally(_cut(" ".join(name.split()), _LONGEST))


def _literally(text: str) -> str:
    return text.replace("$", r"\$")


def _cut(line: str, letters: int) -> str:
    """Cut a long line in its middle: names of one set often begin alike."""
    head = (letters - 1) // 2
    return line if len(line) <= letters else f"{line[:head]}…{line[head + 1 - letters :]}"


def _wrapped(text: str, letters: int) -> str:
    """Break each line of a text that is longer than some letters, once at the most, and cut what is still too long."""
    lines: list[str] = []
    for line in text.split("\n"):
        room = letters if line.isascii() else letters * 4 // 7  # Chinese characters are twice as wide as Latin letters
        words = " ".join(line.split())
        place = words.rfind(" ", 0, room + 1)
        first = words if len(words) <= room else words[: place if place > 0 else room]
        lines += [first, *([_cut(words[len(first) :].strip(), room)] if len(first) < len(words) else [])]
    return _literally("\n".join(lines))


def title_of(answers: Answers) -> str:
    """Return the split and the epoch of a pass, as words."""
    name = {"val": "validation"}.get(answers.outputs.split, answers.outputs.split)
    return f"{name}, epoch {answers.outputs.epoch}" if answers.outputs.epoch else name


def _figure(
    height_in: float, title: str, left_in: float, bottom_in: float = 1.0, right_in: float = 0.2
) -> tuple[Figure, Axes]:
    """Make axes of a height below a title, with margins in inches; Matplotlib's own layout takes half of the time."""
    from matplotlib.figure import Figure

    lines = textwrap.wrap(title, int(_WIDTH_IN / _LETTER_IN))
    top_in = len(lines) * _LINE_IN + 0.2
    whole_in = height_in + bottom_in + top_in
    figure = Figure(figsize=(_WIDTH_IN, whole_in), dpi=_DPI)
    figure.suptitle("\n".join(lines), fontsize=_TITLE_PT, y=1 - 0.1 / whole_in, va="top", linespacing=1.1)
    width_in = _WIDTH_IN - left_in - right_in
    box = (left_in / _WIDTH_IN, bottom_in / whole_in, width_in / _WIDTH_IN, height_in / whole_in)
    return figure, figure.add_axes(box)


def _width_in(names: Sequence[str]) -> float:
    """Estimate the width of names in inches; Chinese characters are twice as wide as Latin letters."""
    wide_in = 2 * _LETTER_IN
    return max((sum(_LETTER_IN if letter.isascii() else wide_in for letter in name) for name in names), default=0.0)


def _reliability_panel(axes: Axes, found: Reliability, name: str, legend: bool) -> None:
    edges = np.arange(BINS) / BINS
    share = (found.counts / found.counts.sum()).numpy()
    axes.bar(edges, share, 1 / BINS, align="edge", color=_ORANGE, alpha=0.35, label="share of the answers")
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=2, linestyle="--", label="calibrated")
    filled = (found.counts > 0).numpy()
    confidence, accuracy = found.confidence.numpy()[filled], found.accuracy.numpy()[filled]
    axes.plot(confidence, accuracy, "o-", color=_BLUE, linewidth=2, markersize=8, label="right")
    axes.set_title(f"{name}: ECE {found.ece:.3f}", fontsize=_PT)
    axes.set_xlabel("probability")
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    if legend:
        axes.legend(frameon=False, loc="upper left", borderpad=0, labelspacing=0.2, handlelength=1.2)


@cache
def _fonts() -> list[str]:
    from matplotlib import font_manager

    there = font_manager.get_font_names()
    return ["DejaVu Sans", *(name for name in there if name.startswith(_FURTHER_FONTS))]


def _pixels(figure: Figure) -> Pixels:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)  # matplotlib annotates no method of it
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")  # drawn as a box
        canvas.draw()
    pixels: Pixels = np.array(canvas.buffer_rgba())[..., :3]
    return pixels
