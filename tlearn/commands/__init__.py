"""One file for each verb of the command line, with its table."""
