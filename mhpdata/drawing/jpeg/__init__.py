"""Decode JPEGs to planes, only the blocks that a crop touches."""
