"""Files of networks and of results: weights, checkpoints, label PNGs."""
