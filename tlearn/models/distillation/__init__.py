"""One network that learns from the answers of another: the teacher, and what the student's loss makes of it."""
