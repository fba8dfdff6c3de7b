"""Packed shards to batches: order, draws, reading ahead, slots (mhp-bench)."""
