"""Kernels that draw a stored sample into a slot of a batch: arrays in, arrays out."""
