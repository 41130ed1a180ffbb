"""Measurements and decisions before training: plan, probe, advise, ranking."""
