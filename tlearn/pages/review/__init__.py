"""Behind the page of ``review``: order, proposals, neighbours, decisions. No web in it."""
