"""The verb ``advise``: which strategy, image size, rates and network for your images."""
