"""Bytes of an image file to pixels. Sizes are checked before memory is allocated."""
