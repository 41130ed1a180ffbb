"""How much each label is to be doubted, how many are wrong, and what the network says instead."""
