"""`report.html`: the page of a run, its views and its charts."""
