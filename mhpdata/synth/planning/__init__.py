"""Plan a synthetic image, as numbers only."""
