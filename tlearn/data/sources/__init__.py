"""Data modules, one for each place that pictures come from."""
