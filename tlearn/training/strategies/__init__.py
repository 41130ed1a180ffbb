"""Training strategies: features computed once, solved heads, WiSE-FT, the learning rate finder."""
