"""The verbs that open a page."""
