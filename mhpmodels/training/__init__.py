"""The training loop and everything around it, shared by all engines (mhp train)."""
