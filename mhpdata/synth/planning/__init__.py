"""The plan of a synthetic image: numbers only."""
