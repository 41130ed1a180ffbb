"""What an answer is worth: its set, "unknown", how strange the picture is, and which training pictures are nearest."""
