"""TIFF files: their tags, colours, planes, pyramids, and what tifffile reads of them."""
