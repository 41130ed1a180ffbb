"""What a run shows in the terminal: a line of progress, a line an epoch, and its result with the next command."""
