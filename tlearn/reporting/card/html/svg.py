"""The pieces that charts are made of, as SVG text: frame, axes, marks. All that is written into it is escaped here."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from tlearn.reporting.card.format import visible

Point = tuple[float, float]
Format = Callable[[float], str]

# What tells series apart for those who see no colours: a dash pattern, and a marker by its corners (none: a circle).
_DASHES = ("", "6 3", "2 3", "8 3 2 3", "12 4", "4 2 1 2")
_CORNERS: tuple[tuple[Point, ...], ...] = (
    (),
    ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    ((0, -1.2), (1.1, 0.9), (-1.1, 0.9)),
    ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    ((0, 1.2), (1.1, -0.9), (-1.1, -0.9)),
    ((-0.6, -1.3), (0.6, -1.3), (0.6, 1.3), (-0.6, 1.3)),
)
STYLES = len(_DASHES)


@dataclass(frozen=True)
class Frame:
    """Where data lie on the paper, in the units of the view box."""

    x: Point
    y: Point
    right: float
    bottom: float
    left: float = 50
    top: float = 22

    def at(self, x: float, y: float) -> Point:
        """Return the place of a pair of values."""
        across, up = (x - self.x[0]) / (self.x[1] - self.x[0]), (y - self.y[0]) / (self.y[1] - self.y[0])
        return self.left + across * (self.right - self.left), self.bottom - up * (self.bottom - self.top)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers, one step apart, the first at or below ``low`` and the last at or above ``high``."""
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        low, high = (low - abs(low) * 0.1, high) if low else (0.0, 1.0)
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def path(style: int, places: Sequence[Point]) -> str:
    """Draw a line through places."""
    at = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline class="line" points="{at}"{_dash(style)}/>'


def sample(x: float, y: float, style: int) -> str:
    """Draw what stands for a series in a legend."""
    line = f'<line class="line" x1="{x - 10}" x2="{x + 20}" y1="{y}" y2="{y}"{_dash(style)}/>'
    return f'<g class="s{style}">{line}{marker(style, x + 5, y, 4)}</g>'


def marker(style: int, x: float, y: float, r: float, said: str = "") -> str:
    """Draw a series' marker of radius ``r``, with what is said where a pointer rests on it."""
    title = f"<title>{_safe(said)}</title>" if said else ""
    if not _CORNERS[style]:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}">{title}</circle>'
    at = " ".join(f"{x + r * 0.9 * dx:.1f},{y + r * 0.9 * dy:.1f}" for dx, dy in _CORNERS[style])
    return f'<polygon points="{at}">{title}</polygon>'


def diagonal(frame: Frame) -> str:
    """Draw where both axes agree."""
    (x1, y1), (x2, y2) = frame.at(frame.x[0], frame.y[0]), frame.at(frame.x[1], frame.y[1])
    return f'<line class="ideal" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def y_axis(frame: Frame, marks: Sequence[float], show: Format) -> list[str]:
    """Draw a line across at each mark, and its value."""
    drawn = []
    for mark in marks:
        _, y = frame.at(frame.x[0], mark)
        drawn.append(f'<line class="grid" x1="{frame.left}" x2="{frame.right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(text(frame.left - 7, y + 4, show(mark), "end"))
    return drawn


def x_axis(frame: Frame, marks: Sequence[float], name: str, show: Format) -> list[str]:
    """Draw marks, their values, and what the axis is."""
    drawn = [text((frame.left + frame.right) / 2, frame.bottom + 35, name, "middle")]
    for mark in marks:
        x, _ = frame.at(mark, frame.y[0])
        drawn.append(
            f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{frame.bottom}" y2="{frame.bottom + 4}"/>'
            + text(x, frame.bottom + 18, show(mark), "middle")
        )
    return drawn


def text(x: float, y: float, said: str, anchor: str = "start", css: str = "tick") -> str:
    """Write a text; ``css`` is its class."""
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{_safe(said)}</text>'


def _safe(said: str) -> str:
    return escape(visible(said))


def svg(width: int, height: int, said: str, drawn: Sequence[str]) -> str:
    """Put a drawing together; ``said`` is for those who hear it."""
    inside = "\n".join(drawn)
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{_safe(said)}">\n{inside}\n</svg>'


def _dash(style: int) -> str:
    return f' stroke-dasharray="{_DASHES[style]}"' if _DASHES[style] else ""
