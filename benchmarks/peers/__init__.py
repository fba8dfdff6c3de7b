"""Other loaders at the same task, each in its own environment; one file a peer, all with the same verb ``batches``."""
