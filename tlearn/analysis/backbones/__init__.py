"""Which of several networks: probes on nested subsets, half of which go on."""
