"""The steps of drawing as vector instructions, for x86-64."""
