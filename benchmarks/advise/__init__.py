"""Whether `tlearn advise` is right: every candidate really run on real data, and the advice scored against it."""
