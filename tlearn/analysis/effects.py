"""The effects of training on a measured score, fitted by ``python -m benchmarks.advise.score --fit``; see there."""

from __future__ import annotations

from tlearn.analysis.decision import Effect, Gain, Gains

# Fitted to 31 scenarios. Heads are measured, so they have a deviation only.
EFFECTS = {
    "frozen": Effect(0.0, 0.0, 0.0, 0.238),
    "tap": Effect(0.0, 0.0, 0.0, 0.353),
    "partial": Effect(-0.053, 0.064, 0.354, 0.406),
    "full": Effect(0.011, 0.183, 0.404, 0.732),
    "scratch": Effect(-0.405, 0.253, 0.0, 0.798),
}
# Of LP-FT beyond its solved head, where the trial kept the loss on validation (n = 10), and where it did not (n = 15).
GAINS = Gains(kept=Gain(0.133, 0.116), raised=Gain(-0.11, 0.239))
