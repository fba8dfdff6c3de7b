"""The formats on disk: images in records, records in shards, the manifest. Each is implemented here only."""
