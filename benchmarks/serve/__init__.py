"""What `tlearn serve` costs beside bare forward passes, and whether its memory stays flat."""
