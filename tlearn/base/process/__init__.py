"""What a process of the command line's own may do that a notebook's must not."""
