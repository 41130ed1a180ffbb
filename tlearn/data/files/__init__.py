"""Picture files on disk: find, inspect, decode and exclude them."""
