"""Packed folders → packed folder: select, merge, split and reshard records without decoding an image."""
