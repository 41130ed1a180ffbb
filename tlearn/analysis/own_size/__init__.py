"""The image size that the network's weights were trained at, as one more candidate for a head."""
