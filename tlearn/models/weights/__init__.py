"""Weight files of any origin: find, read and load them."""
