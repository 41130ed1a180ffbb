"""Callbacks that guard a run and keep its results: checkpoints, the run folder, the freeze audit, the end of a run."""
