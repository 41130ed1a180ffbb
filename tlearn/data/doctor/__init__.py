"""The doctor: findings about picture files, copies, labels and names."""
