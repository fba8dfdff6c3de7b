"""Load packed shards as batches: sampling order, random draws, prefetching, batch memory."""
