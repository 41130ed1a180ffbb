"""What to end a fit with, judged on eleven real data sets: heads, trained networks and averages of them."""
