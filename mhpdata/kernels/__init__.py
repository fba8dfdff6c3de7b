"""Numba kernels: declaration, compilation once per machine, and the cache on disk."""
