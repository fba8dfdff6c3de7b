"""Paint the image of a plan."""
