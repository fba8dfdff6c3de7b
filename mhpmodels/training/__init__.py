"""The training loop and what surrounds it, once for all engines (mhp-train)."""
