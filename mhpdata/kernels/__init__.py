"""Functions that Numba compiles: how they are declared, compiled once per machine, and kept on disk."""
