"""Merge the masks of all persons of an image into one label map. The overlap rule is implemented here only."""
