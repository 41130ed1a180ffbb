"""Formats of phones and new cameras, which Pillow does not read: HEIC and JPEG XL."""
