"""The labelled pictures of a data set with their features, for what judges labels or chooses pictures."""
