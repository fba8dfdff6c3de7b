"""A JPEG's bytes to planes, for the blocks that a crop touches."""
