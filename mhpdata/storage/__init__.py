"""Bytes on disk: images in records, records in shards, the manifest. Each format lives here only."""
