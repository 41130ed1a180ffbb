"""A folder whose labels stand in its list of labels alone."""
