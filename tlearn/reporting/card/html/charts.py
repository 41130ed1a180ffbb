"""Charts as inline SVG, for a page without scripts and picture files.

Colours are CSS classes, which the page's style sheet defines for light and dark. Each series also has its own dash
pattern, marker and label, for readers who see no colours and for prints without them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tlearn.reporting.card.format import percent
from tlearn.reporting.card.html.svg import (
    STYLES,
    Format,
    Frame,
    Point,
    diagonal,
    marker,
    path,
    sample,
    svg,
    text,
    ticks,
    x_axis,
    y_axis,
)

_MARKED_POINTS, _DRAWN_POINTS = 30, 300
_LINE_PX = 14
_FEW = 10  # images in a bin


@dataclass(frozen=True)
class Line:
    """One series: its label, and its points in the order of x."""

    label: str
    points: Sequence[Point]


def line_chart(lines: Sequence[Line], what: str, show: Format, best: float | None = None) -> str:
    """Draw lines over epochs.

    Args:
        lines: Series over epochs counted from 1; none may be empty.
        what: What the chart shows, for screen readers.
        show: Formats a value.
        best: The epoch to mark, also on the first line.
    """
    values = [y for line in lines for _, y in line.points]
    epochs = [x for line in lines for x, _ in line.points]
    marks = ticks(min(values), max(values))
    first, last = min(epochs), max(epochs)
    frame = Frame((first, last) if last > first else (first - 1, last + 1), (marks[0], marks[-1]), 366, 228)
    drawn = [*y_axis(frame, marks, show), *x_axis(frame, _epoch_ticks(first, last), "epoch", "{:g}".format)]
    drawn += _best_mark(frame, best, lines[0]) if best is not None else []
    drawn += [_series(frame, line, number % STYLES, show) for number, line in enumerate(lines)]
    drawn += _end_labels(frame, lines)
    said = "; ".join(f"{line.label} from {show(line.points[0][1])} to {show(line.points[-1][1])}" for line in lines)
    return svg(460, 268, f"{what}: {said}" + ("" if best is None else f"; best epoch {best:g}"), drawn)


def reliability_diagram(calibrations: Mapping[str, Mapping[str, Any]]) -> str:
    """Draw the accuracy of answers over their confidence; on the diagonal they agree.

    Args:
        calibrations: ``before`` and ``after`` calibration, or one of them, each with ``ece`` and ``bins``; a
            marker's area is the share of images in its bin.
    """
    frame = Frame((0, 1), (0, 1), 318, 336, top=50)
    marks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    drawn = [*y_axis(frame, marks, "{:g}".format), *x_axis(frame, marks, "confidence", "{:g}".format)]
    drawn += [diagonal(frame), text(frame.left - 40, frame.top - 9, "accuracy", "start")]
    order = [name for name in ("after", "before") if name in calibrations]
    for number, name in enumerate(order):
        drawn.append(_bins(frame, calibrations[name]["bins"], number))
        x, y = frame.left + 72, 10 + number * 18
        drawn += [
            sample(x, y, number),
            text(x + 28, y + 4, f"{name}: ECE {percent(calibrations[name]['ece'])}", css="end"),
        ]
    said = ", ".join(f"{name} calibration {percent(calibrations[name]['ece'])}" for name in reversed(order))
    return svg(336, 376, f"Reliability diagram; ECE {said}", drawn)


def scatter(points: Sequence[Point], what: str) -> str:
    """Draw predicted over true values; on the diagonal they agree."""
    values = [value for point in points for value in point]
    marks = ticks(min(values), max(values))
    frame = Frame((marks[0], marks[-1]), (marks[0], marks[-1]), 318, 308)
    drawn = [*y_axis(frame, marks, "{:g}".format), *x_axis(frame, marks, "true", "{:g}".format)]
    drawn += [diagonal(frame), text(frame.left - 40, frame.top - 9, "predicted", "start")]
    dots = (frame.at(*point) for point in points)
    drawn.append(
        '<g class="s0 dots">' + "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in dots) + "</g>"
    )
    return svg(336, 348, what, drawn)


def risk_chart(points: Sequence[Point]) -> str:
    """Draw the accuracy of the surest answers over the share of pictures that is answered.

    Args:
        points: Share answered and accuracy, 0 to 1, in the order of the share.
    """
    marks = ticks(min(y for _, y in points), 1.0)
    frame = Frame((0, 1), (marks[0], 1.0 if marks[0] < 1 else 1.1), 440, 228)
    drawn = [*y_axis(frame, [mark for mark in marks if mark <= 1], _percent)]
    drawn += x_axis(frame, [0, 0.2, 0.4, 0.6, 0.8, 1], "share of pictures answered, the surest first", _percent)
    drawn.append(f'<g class="s0">{path(0, [frame.at(*point) for point in thinned(points)])}</g>')
    said = f"Accuracy over the share answered: {percent(points[0][1])} of the surest, {percent(points[-1][1])} of all"
    return svg(460, 268, said, drawn)


def _percent(share: float) -> str:
    return f"{100 * share:.3g}\N{NO-BREAK SPACE}%"


def thinned(points: Sequence[Point], most: int = _DRAWN_POINTS) -> list[Point]:
    """Keep the lowest and the highest point of each stretch where there are more than can be told apart."""
    if len(points) <= most:
        return list(points)
    size = math.ceil(2 * len(points) / most)
    kept: list[Point] = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        kept += sorted({min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])})
    return kept


def _epoch_ticks(first: float, last: float) -> list[float]:
    """Return whole epochs, the first and the last among them where there is room."""
    inside = [tick for tick in ticks(first, last) if first < tick < last and tick == int(tick)]
    room = (last - first) / 12
    return sorted({first, last, *(tick for tick in inside if tick - first > room and last - tick > room)})


def _series(frame: Frame, line: Line, style: int, show: Format) -> str:
    places = [frame.at(*point) for point in thinned(line.points)]
    drawn = [path(style, places)]
    marked = len(line.points) <= _MARKED_POINTS
    for (epoch, value), place in zip(line.points, places, strict=True) if marked else ():
        drawn.append(marker(style, *place, 3.2, f"{line.label}, epoch {epoch:g}: {show(value)}"))
    if not marked:
        drawn.append(marker(style, *places[-1], 3.2))
    return f'<g class="s{style}">{"".join(drawn)}</g>'


def _end_labels(frame: Frame, lines: Sequence[Line]) -> list[str]:
    """Write each line's name at its end, no two over one another."""
    ends = sorted((frame.at(*line.points[-1]), line.label) for line in lines)
    ends.sort(key=lambda end: end[0][1])
    drawn, free = [], -math.inf
    for number, ((x, y), label) in enumerate(ends):
        lowest = frame.bottom - _LINE_PX * (len(ends) - 1 - number)
        free = max(min(y, lowest), free + _LINE_PX)
        short = label if len(label) <= 13 else label[:12] + "\N{HORIZONTAL ELLIPSIS}"
        near = x if len({x for (x, _), _ in ends}) == 1 else frame.right
        drawn.append(text(near + 12, free + 4, short, css="end"))
    return drawn


def _best_mark(frame: Frame, best: float, line: Line) -> list[str]:
    x, _ = frame.at(best, frame.y[0])
    anchor = "end" if x > (frame.left + frame.right) / 2 else "start"
    drawn = [
        f'<line class="best" x1="{x:.1f}" x2="{x:.1f}" y1="{frame.top - 4}" y2="{frame.bottom}"/>',
        text(x + (-5 if anchor == "end" else 5), frame.top - 8, f"best: epoch {best:g}", anchor, "end"),
    ]
    at_best = [frame.at(*point) for point in line.points if point[0] == best]
    return drawn + [f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="7"/>' for x, y in at_best]


def _bins(frame: Frame, bins: Sequence[Mapping[str, Any]], style: int) -> str:
    """Draw a bin's marker and the line through them; faint where a bin has too few images to mean anything."""
    filled = [each for each in bins if each["count"]]
    images = sum(each["count"] for each in filled) or 1
    places = [frame.at(each["confidence"], each["accuracy"]) for each in filled]
    drawn = []
    for few, stretch in _stretches([each["count"] < _FEW for each in filled]):
        drawn.append(_fainter(path(style, [places[number] for number in stretch]), few) if len(stretch) > 1 else "")
    for each, place in zip(filled, places, strict=True):
        said = f"{each['count']:,} images, confidence {each['confidence']:.2f}, accuracy {each['accuracy']:.2f}"
        drawn.append(
            _fainter(marker(style, *place, 2.5 + 7 * math.sqrt(each["count"] / images), said), each["count"] < _FEW)
        )
    return f'<g class="s{style}">{"".join(drawn)}</g>'


def _stretches(few: Sequence[bool]) -> list[tuple[bool, list[int]]]:
    """Cut a line through bins where it becomes faint or full; a step to or from a bin of few images is faint."""
    found: list[tuple[bool, list[int]]] = []
    for number in range(1, len(few)):
        faint = few[number - 1] or few[number]
        if found and found[-1][0] == faint:
            found[-1][1].append(number)
        else:
            found.append((faint, [number - 1, number]))
    return found


def _fainter(drawn: str, few: bool) -> str:
    return f'<g class="faint">{drawn}</g>' if few else drawn
