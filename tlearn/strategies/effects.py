"""What training adds to a measured head: numbers fitted by ``python -m benchmarks.advise.score --fit``, see there."""

from __future__ import annotations

from tlearn.strategies.advice import Effect

EFFECTS = {
    "frozen": Effect(0.0, 0.0, 0.0, 0.2),
    "tap": Effect(0.0, 0.0, 0.0, 0.2),
    "partial": Effect(0.2, 0.0, 0.5, 0.3),
    "lp_ft": Effect(0.3, 0.1, 0.5, 0.3),
    "full": Effect(0.0, 0.2, 0.0, 0.4),
    "scratch": Effect(0.0, 0.2, 0.0, 0.4),
}
