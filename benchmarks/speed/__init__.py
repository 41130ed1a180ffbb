"""One file for each section of docs/speed.md that compares with an earlier build of tlearn."""
