"""mhpdata."""
