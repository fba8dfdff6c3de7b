"""Read a dataset of one's own, as its label file describes it."""
