"""Draw with vector instructions, on x86-64."""
