"""Other loaders at the same task, each in its own environment; one module per peer, with the function ``batches``."""
