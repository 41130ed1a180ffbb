"""From the bytes of a picture file to uint8 channels: what its numbers, planes, bands and colours mean."""
