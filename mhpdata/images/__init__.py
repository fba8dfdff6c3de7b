"""Decode image files to pixels. Sizes are checked before memory is allocated."""
