"""Options of a command that makes one network of several runs."""
