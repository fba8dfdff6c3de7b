"""Draw stored samples into batches, by compiled kernels: arrays in, arrays out."""
